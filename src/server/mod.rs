//! Everything put together, started and stopped.
//!
//! Two runtimes: *data* does nothing but requests, *control* does the rest (store, change feed,
//! usage, management), so that a busy control plane cannot delay a request.

mod audit_head;
mod beside;
mod data_plane;
mod descriptors;
mod drain;
mod key_watch;
mod memory;
mod open_store;
mod presence;
mod reload;
mod secrets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::assertion::Assertions;
use crate::config::Config;
use crate::directory::Directory;
use crate::events;
use crate::gate::Gate;
use crate::guard::{self, Guard};
use crate::health::Health;
use crate::limits::{BackendError, Limits};
use crate::management;
use crate::metrics::Metrics;
use crate::proxy;
use crate::secret_key::{SecretKeyError, SecretKeys};
use crate::store::StoreError;
use crate::usage;

use data_plane::{DataPlane, Threads};
use open_store::ServingStore;
pub use open_store::open_beside;
use reload::Reloader;
pub use reload::Source;
pub use secrets::{GivenSecrets, SecretFiles, secret_keys};

/// Threads of the control runtime. It waits for I/O most of the time.
const CONTROL_THREADS: usize = 2;

/// How long a stop tries to write the last usage records.
const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {addr}: {cause}")]
    Listen { addr: SocketAddr, cause: std::io::Error },
    #[error("{0}")]
    Proxy(String),
    #[error("cannot start a thread: {0}")]
    Runtime(std::io::Error),
    #[error(transparent)]
    SecretKey(#[from] SecretKeyError),
    #[error(transparent)]
    Limits(#[from] BackendError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Spool(#[from] usage::SpoolError),
    #[error("{} migrations are pending: run `gatepost migrate up`", .0)]
    MigrationsPending(usize),
}

/// A running gateway: the control plane's tasks and the data plane.
struct Node {
    health: Arc<Health>,
    data: DataPlane,
    grace: Duration,
    management: JoinHandle<()>,
    /// Whether every record is in the store.
    usage: JoinHandle<bool>,
    /// Gives back what is leased of quotas when usage stops.
    leases: JoinHandle<()>,
    /// Tells the store that this node is there, until usage stops.
    presence: JoinHandle<()>,
    /// Ends only when the store turns out not to fit.
    store_failed: JoinHandle<ServeError>,
    stop_management: watch::Sender<bool>,
    stop_usage: watch::Sender<bool>,
    /// What was counted of failed attempts, for the other nodes and the next start.
    sharing: JoinHandle<()>,
    stop_guard: watch::Sender<bool>,
}

/// Serves until a signal says otherwise, then drains and flushes.
///
/// `listening` is called once both listeners accept connections.
///
/// # Errors
/// The store, a listener or a thread could not be had.
pub fn serve(
    config: Config,
    source: Source,
    secrets: &SecretKeys,
    listening: impl FnOnce(),
) -> Result<(), ServeError> {
    memory::keep_private();
    let control = runtime("control", CONTROL_THREADS)?;
    let store = control.block_on(ServingStore::open(&config.store, secrets))?;
    let data = Threads::new(runtime("proxy", config.proxy.threads)?);
    let assertions = Arc::new(Assertions::new(secrets));
    let node = control.block_on(start(config, source, store, assertions, data))?;
    listening();
    let stopped = control.block_on(drain::until_stopped(node));
    control.shutdown_timeout(Duration::from_secs(1));
    stopped
}

fn runtime(name: &'static str, threads: usize) -> Result<Runtime, ServeError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)
}

/// Starts every task; runs on the control runtime.
async fn start(
    config: Config,
    source: Source,
    opened: ServingStore,
    assertions: Arc<Assertions>,
    data: Threads,
) -> Result<Node, ServeError> {
    let store = opened.store.clone();
    let running = Arc::new(ArcSwap::from_pointee(management::RunningConfig::of(&config)));
    let operations = management::route_names();
    let routes = config.policy.routes().iter().map(|route| &*route.name);
    let names: Vec<&str> = routes.chain(operations.iter().map(String::as_str)).collect();
    let metrics = Arc::new(Metrics::new(&names));
    let directory = Directory::new(store.clone(), &config.cache, metrics.clone());
    let following = directory.clone();
    let heads = store.clone();
    let store_failed = tokio::spawn(async move {
        if let Err(error) = opened.ready().await {
            return error;
        }
        tokio::spawn(audit_head::log_every_minute(heads));
        following.follow().await;
        ServeError::Proxy("the change feed ended".into())
    });

    let node_name: Arc<str> = node_name().into();
    let (events, event_worker) =
        events::pipeline(store.clone(), config.webhooks.clone(), &node_name, metrics.clone());
    tokio::spawn(event_worker.run());
    let guard = Guard::new(config.lockout.clone(), events);
    let (stop_guard, mut guard_stopped) = watch::channel(false);
    let sharing = guard::Worker::new(guard.clone(), directory.clone(), metrics.clone());
    let sharing = tokio::spawn(sharing.run(async move {
        let _ = guard_stopped.wait_for(|stopped| *stopped).await;
    }));
    tokio::spawn(key_watch::watch(directory.clone(), guard.clone(), metrics.clone()));
    let limits = Limits::new(store.clone(), &config.limits, metrics.clone())?;
    let gate = Arc::new(Gate::new(directory.clone(), guard.clone(), limits.clone()));

    let (recorder, worker) = usage::pipeline(store, &config.usage, metrics.clone())?;
    let health = Health::new(directory.clone(), recorder.clone());
    let (stop_usage, mut usage_stopped) = watch::channel(false);
    let usage = tokio::spawn(async move {
        let stop = async move {
            let _ = usage_stopped.wait_for(|stopped| *stopped).await;
        };
        worker.run(stop, FLUSH_PATIENCE).await
    });
    let mut leases_stopped = stop_usage.subscribe();
    let kept = limits.clone();
    let leases = tokio::spawn(async move {
        let stop = async move {
            let _ = leases_stopped.wait_for(|stopped| *stopped).await;
        };
        kept.keep(stop, FLUSH_PATIENCE).await;
    });

    let mut leaving = stop_usage.subscribe();
    let presence = presence::report(directory.clone(), node_name.clone(), async move {
        let _ = leaving.wait_for(|stopped| *stopped).await;
    });
    let presence = tokio::spawn(presence);

    let (settings, management_settings) = (config.proxy.clone(), config.management.clone());
    let realm = config.policy.realm.clone();
    let reloader = Reloader::start(
        config,
        source,
        limits.clone(),
        guard.clone(),
        metrics.clone(),
        running.clone(),
    )
    .await;
    let reloader = Arc::new(reloader.map_err(ServeError::Proxy)?);
    let app = management::app(management::Parts {
        gate: gate.clone(),
        guard: guard.clone(),
        directory,
        settings: management_settings.clone(),
        recorder: recorder.clone(),
        metrics: metrics.clone(),
        health: health.clone(),
        assertions: assertions.clone(),
        realm,
        routes: routes_of(reloader.live()),
        limits: limits.clone(),
        node: node_name.clone(),
        running,
        reload: reload_with(reloader.clone()),
    });
    let (stop_management, mut management_stopped) = watch::channel(false);
    let listener = listen(management_settings.listen).await?;
    let management = tokio::spawn(app.clone().serve(listener, async move {
        let _ = management_stopped.wait_for(|stopped| *stopped).await;
    }));

    let parts = proxy::Parts {
        gate,
        live: reloader.live(),
        recorder,
        metrics,
        health: health.clone(),
        assertions,
        in_process: hand_over(app, tokio::runtime::Handle::current()),
        node: node_name,
        max_connections: descriptors::connections(settings.max_connections),
    };
    let data = DataPlane::start(data, &settings, parts).await?;
    tokio::spawn(reloader.follow());
    health.open();
    Ok(Node {
        health,
        data,
        grace: settings.grace,
        management,
        usage,
        leases,
        presence,
        store_failed,
        stop_management,
        stop_usage,
        sharing,
        stop_guard,
    })
}

/// The data plane's routes for the control plane, as they are when it asks.
fn routes_of(live: Arc<ArcSwap<proxy::Live>>) -> management::Routes {
    Arc::new(move |name| live.load().route(name).cloned())
}

fn reload_with(reloader: Arc<Reloader>) -> management::Reload {
    Arc::new(move || {
        let reloader = reloader.clone();
        Box::pin(async move { reloader.reload().await })
    })
}

/// The built-in upstream `management`: its work is done on the control runtime, whichever runtime
/// asks.
fn hand_over(app: management::App, control: tokio::runtime::Handle) -> proxy::InProcess {
    Arc::new(move |request, admission| {
        let app = app.clone();
        let answer = control.spawn(async move { app.call(request, admission).await });
        Box::pin(async move {
            answer.await.unwrap_or_else(|_| {
                let mut response = http::Response::new(Default::default());
                *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                response
            })
        })
    })
}

async fn listen(addr: SocketAddr) -> Result<tokio::net::TcpListener, ServeError> {
    tokio::net::TcpListener::bind(addr).await.map_err(|cause| ServeError::Listen { addr, cause })
}

/// The host's name and the process: two nodes on one machine are two.
fn node_name() -> String {
    let uname = rustix::system::uname();
    format!("{}:{}", uname.nodename().to_string_lossy(), std::process::id())
}
