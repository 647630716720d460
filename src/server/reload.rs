//! A configuration read again while the node serves: all of it, or none.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, watch};
use tokio::time::interval;

use super::beside;
use crate::config::{Config, Environment};
use crate::guard::Guard;
use crate::limits::Limits;
use crate::management::RunningConfig;
use crate::metrics::Metrics;
use crate::proxy::Live;

/// How often the file's content is looked at. Its name may be a symbolic link that is swapped, as
/// mounted configurations are, which a watcher of the file would miss.
const POLL: Duration = Duration::from_secs(2);

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: PathBuf,
    pub environment: Environment,
}

/// Replaces routes, upstreams and the proxy's settings in one step, and the tiers just before.
pub struct Reloader {
    source: Source,
    live: Arc<ArcSwap<Live>>,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
    /// What operators are shown of it.
    shown: Arc<ArcSwap<RunningConfig>>,
    guard: Arc<Guard>,
    /// What only a restart changes, as it was at the start.
    fixed: String,
    running: Mutex<Running>,
}

struct Running {
    /// Of the content that was read last, whether it was valid or not.
    content: Option<blake3::Hash>,
    /// Of the routes in use: when others take their place, refusals have to settle.
    routes: blake3::Hash,
    /// Ends what runs beside the configuration in use.
    stop: watch::Sender<bool>,
}

impl Reloader {
    /// Puts the first configuration into use.
    ///
    /// # Errors
    /// An upstream's settings make no valid health check.
    pub async fn start(
        config: Config,
        source: Source,
        limits: Arc<Limits>,
        guard: Arc<Guard>,
        metrics: Arc<Metrics>,
        shown: Arc<ArcSwap<RunningConfig>>,
    ) -> Result<Self, String> {
        let content = fingerprint(&source);
        let fixed = fixed(&config);
        let routes = routes(&config);
        tell_shadow(&config, &metrics);
        let (live, stop) = prepare(config).await?;
        let live = Arc::new(ArcSwap::from_pointee(live));
        metrics.config.loaded(true);
        let running = Mutex::new(Running { content, routes, stop });
        Ok(Self { source, live, limits, metrics, shown, guard, fixed, running })
    }

    /// What the proxy serves by.
    pub fn live(&self) -> Arc<ArcSwap<Live>> {
        self.live.clone()
    }

    /// Reads the configuration again. Requests in flight finish on what they started with.
    ///
    /// # Errors
    /// The configuration is not valid: every problem. The old one goes on.
    pub async fn reload(&self) -> Result<(), String> {
        let mut running = self.running.lock().await;
        running.content = fingerprint(&self.source);
        let replaced = self.replace(&mut running).await;
        self.metrics.config.loaded(replaced.is_ok());
        match &replaced {
            Ok(()) => tracing::info!("the configuration was reloaded"),
            Err(problems) => {
                tracing::error!(%problems, "the configuration is not valid; the old one goes on");
            }
        }
        replaced
    }

    async fn replace(&self, running: &mut Running) -> Result<(), String> {
        let Source { path, environment } = &self.source;
        let config = Config::load(path, environment).map_err(|error| error.to_string())?;
        if fixed(&config) != self.fixed {
            tracing::warn!(
                "listeners, store, cache, usage, webhook and log settings need a restart"
            );
        }
        let shown = self.shown.load().reloaded(&config);
        let names: Vec<&str> = config.policy.routes().iter().map(|route| &*route.name).collect();
        self.metrics.know(&names);
        let limits = config.limits.clone();
        let (lockout, routes) = (config.lockout.clone(), routes(&config));
        tell_shadow(&config, &self.metrics);
        let (live, stop) = prepare(config).await?;
        self.limits.reconfigure(&limits);
        self.live.store(Arc::new(live));
        self.shown.store(Arc::new(shown));
        self.guard.reload(lockout);
        if std::mem::replace(&mut running.routes, routes) != routes {
            self.guard.routes_changed();
        }
        let old = std::mem::replace(&mut running.stop, stop);
        let _ = old.send(true);
        Ok(())
    }

    /// Reloads on SIGHUP and when the file's content changes. Never returns.
    pub async fn follow(self: Arc<Self>) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::error!("SIGHUP cannot be heard");
            return;
        };
        let mut poll = interval(POLL);
        loop {
            let changed = tokio::select! {
                _ = hangup.recv() => true,
                _ = poll.tick() => self.has_changed().await,
            };
            if changed {
                // Told by the reload itself; the next change is another chance.
                let _ = self.reload().await;
            }
        }
    }

    /// Whether there is other content than was read last. A file that cannot be read just now is
    /// being replaced, or will be missed at the next reload.
    async fn has_changed(&self) -> bool {
        let running = self.running.lock().await;
        fingerprint(&self.source).is_some_and(|content| running.content != Some(content))
    }
}

/// Makes a configuration ready for use, with what runs beside it until told to stop.
async fn prepare(config: Config) -> Result<(Live, watch::Sender<bool>), String> {
    let (live, background) = Live::new(config.policy, config.upstreams, config.proxy)
        .map_err(|error| error.to_string())?;
    let (stop, stopped) = watch::channel(false);
    beside::start(background, &stopped).await;
    Ok((live, stop))
}

/// A gate that stands open is not to be forgotten.
fn tell_shadow(config: &Config, metrics: &Metrics) {
    let routes = config.policy.routes().iter().filter(|route| route.options.shadow);
    let names: Vec<&str> = routes.map(|route| &*route.name).collect();
    metrics.config.in_shadow.set(i64::try_from(names.len()).unwrap_or(i64::MAX));
    if !names.is_empty() {
        tracing::warn!(routes = names.join(", "), "in shadow: refusals are noted, not enforced");
    }
}

/// What only a restart changes.
fn fixed(config: &Config) -> String {
    let Config { proxy, management, store, cache, usage, limits, webhooks, log, .. } = config;
    let limits = (&limits.backend, limits.max_limiters);
    let places = (proxy.max_connections, proxy.max_connections_per_source);
    let doors =
        (&proxy.listen, places, proxy.threads, proxy.head_deadline, proxy.grace, management);
    format!("{doors:?} {store:?} {cache:?} {usage:?} {limits:?} {webhooks:?} {log:?}")
}

fn routes(config: &Config) -> blake3::Hash {
    blake3::hash(format!("{:?}", config.policy.routes()).as_bytes())
}

fn fingerprint(source: &Source) -> Option<blake3::Hash> {
    std::fs::read(&source.path).ok().map(|content| blake3::hash(&content))
}
