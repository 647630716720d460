//! Bare Pingora: what forwarding the same traffic costs without any of ours, with the settings
//! of Gatepost's own data plane.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::HttpServerOptions;
use pingora::modules::http::HttpModules;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::configuration::ServerConf;
use pingora::services::Service;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use tokio::sync::watch;

use crate::Error;
use crate::process::REQUEST_THREADS;

/// Set for both proxies: here, and in the configuration that Gatepost gets.
pub const THREADS: usize = 1;
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// As Gatepost has it, where it cannot be configured.
const KEEPALIVE_SECONDS: u64 = 60;
const CLIENT_STALL: Duration = Duration::from_secs(60);
const DRAIN: Duration = Duration::from_secs(5);
const REQUESTS_PER_CONNECTION: u32 = 1_000;
const UPSTREAM_POOL: usize = 4096;
const MAX_RETRIES: usize = 2;

struct Bare {
    peer: HttpPeer,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    /// None: Gatepost has no compression either.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(
        &self,
        session: &mut Session,
        _ctx: &mut Self::CTX,
    ) -> pingora::Result<bool> {
        session.set_keepalive(Some(KEEPALIVE_SECONDS));
        session.set_read_timeout(Some(CLIENT_STALL));
        session.set_write_timeout(Some(CLIENT_STALL));
        session.set_total_drain_timeout(Some(DRAIN));
        Ok(false)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut Self::CTX,
    ) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

pub fn serve(listen: SocketAddr, forward: SocketAddr) -> Result<(), Error> {
    let mut peer = HttpPeer::new(forward, false, String::new());
    peer.options.connection_timeout = Some(CONNECT_TIMEOUT);
    peer.options.total_connection_timeout = Some(2 * CONNECT_TIMEOUT);
    peer.options.read_timeout = Some(READ_TIMEOUT);
    peer.options.write_timeout = Some(WRITE_TIMEOUT);
    peer.options.idle_timeout = Some(IDLE_TIMEOUT);
    peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();

    let conf = ServerConf {
        threads: THREADS,
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        max_retries: MAX_RETRIES,
        ..ServerConf::default()
    };
    let mut service = http_proxy_service(&Arc::new(conf), Bare { peer });
    service.add_tcp(&listen.to_string());
    if let Some(proxy) = service.app_logic_mut() {
        let mut options = HttpServerOptions::default();
        options.keepalive_request_limit = Some(REQUESTS_PER_CONNECTION);
        proxy.server_options = Some(options);
    }

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name(REQUEST_THREADS)
        .enable_all()
        .build()?;
    // Nobody asks it to stop but by a signal.
    let (_running, shutdown) = watch::channel(false);
    let serving = runtime.spawn(async move { service.start_service(None, shutdown, 1).await });
    Ok(runtime.block_on(serving)?)
}
