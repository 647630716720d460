use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::server::configuration::ServerConf;
use pingora::services::Service;
use pingora::services::listening::Service as ListenerService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::ServeError;
use crate::config::ProxySettings;
use crate::proxy;

/// Idle connections kept to all upstreams together. Pingora evicts and reconnects beyond it, so
/// it is well above any concurrency that one node serves.
const UPSTREAM_POOL: usize = 4096;

/// Pingora counts a retry only where nothing was sent, or where sending again is safe.
const MAX_RETRIES: usize = 2;

/// How long the listeners may take to come up.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// The proxy's listeners on a runtime of their own.
///
/// Pingora's `Server` is left out on purpose: it sleeps through the whole grace period on every
/// stop and ends the process itself, while its service runs as well on a runtime of ours.
pub struct DataPlane {
    threads: Threads,
    service: JoinHandle<()>,
    shutdown: watch::Sender<bool>,
    in_flight: proxy::InFlight,
}

impl DataPlane {
    pub async fn start(
        threads: Threads,
        settings: &ProxySettings,
        parts: proxy::Parts,
    ) -> Result<Self, ServeError> {
        let addrs: Vec<SocketAddr> = settings.listen.iter().map(|listen| listen.addr).collect();
        for addr in &addrs {
            probe(*addr).await?;
        }
        let deadline = Instant::now() + START_PATIENCE;
        let conf = ServerConf {
            threads: settings.threads,
            upstream_keepalive_pool_size: UPSTREAM_POOL,
            max_retries: MAX_RETRIES,
            ..ServerConf::default()
        };
        let proxy::DataPlane { services, in_flight } = proxy::services(&Arc::new(conf), parts)
            .map_err(|error| ServeError::Proxy(error.to_string()))?;
        let (shutdown, watching) = watch::channel(false);
        let mut service = threads.handle.spawn(run(services, watching));
        for addr in addrs {
            accepting(addr, deadline, &mut service).await?;
        }
        Ok(Self { threads, service, shutdown, in_flight })
    }

    pub fn in_flight(&self) -> &proxy::InFlight {
        &self.in_flight
    }

    /// Resolves when the listeners end without having been asked to.
    pub async fn failed(&mut self) -> ServeError {
        let _ = (&mut self.service).await;
        ServeError::Proxy("the proxy's listener ended".into())
    }

    /// Stops accepting, and sends away who is connected; requests in flight go on.
    pub async fn stop_accepting(&mut self, deadline: Instant) {
        let _ = self.shutdown.send(true);
        let _ = tokio::time::timeout_at(deadline, &mut self.service).await;
    }

    /// Ends everything that is still running.
    pub fn end(self) {
        drop(self.threads);
    }
}

/// The runtime of the data plane. It is dropped on the control runtime, where a runtime must not
/// wait for its threads.
pub struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    pub fn new(runtime: Runtime) -> Self {
        Self { handle: runtime.handle().clone(), runtime: Some(runtime) }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs every listener until the last one has stopped.
async fn run(services: Vec<ListenerService<proxy::Door>>, shutdown: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    for mut service in services {
        let shutdown = shutdown.clone();
        running.spawn(async move { Service::start_service(&mut service, None, shutdown, 1).await });
    }
    running.join_all().await;
}

/// Pingora panics where it cannot bind: find out before it, with an error for people.
async fn probe(addr: SocketAddr) -> Result<(), ServeError> {
    let listening = TcpListener::bind(addr).await;
    listening.map(drop).map_err(|cause| ServeError::Listen { addr, cause })
}

/// Waits until a connection to `addr` is accepted.
async fn accepting(
    addr: SocketAddr,
    deadline: Instant,
    service: &mut JoinHandle<()>,
) -> Result<(), ServeError> {
    let mut reach = addr;
    if addr.ip().is_unspecified() {
        reach.set_ip(match addr {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    while TcpStream::connect(reach).await.is_err() {
        if service.is_finished() || Instant::now() > deadline {
            return Err(ServeError::Proxy(format!("the listener on {addr} did not come up")));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
