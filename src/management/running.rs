//! The configuration that runs, as operators may see it: a closed list, so that what is added to
//! the settings is not shown, secret or not, before somebody says so here.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::config::{Config, LimitSettings, Tier, Upstream};
use crate::key::{Permission, Quota, Rate};
use crate::lockout::{self, OnMisuse};
use crate::policy::{Access, Requirement, Route};

#[derive(Clone, Debug, Serialize)]
pub struct RunningConfig {
    proxy: Proxy,
    management: Management,
    store: Store,
    cache: Cache,
    limits: LimitsView,
    tiers: Vec<TierView>,
    lockout: LockoutView,
    upstreams: Vec<UpstreamView>,
    /// In match order.
    routes: Vec<RouteView>,
    warnings: Vec<String>,
    /// What the routes require, whoever may have it.
    #[serde(skip)]
    required: BTreeSet<Permission>,
}

#[derive(Clone, Debug, Serialize)]
struct Proxy {
    listen: Vec<String>,
    realm: String,
    trusted_proxies: Vec<String>,
    threads: usize,
    head_deadline_seconds: f64,
    grace_seconds: f64,
    keepalive_seconds: f64,
}

#[derive(Clone, Debug, Serialize)]
struct Management {
    listen: String,
    insecure: bool,
    hosts: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Store {
    /// Without whatever password there is.
    url: String,
    migrate_on_start: bool,
    pool: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Cache {
    max_keys: u64,
    ttl_seconds: f64,
    serve_stale_for_seconds: f64,
}

#[derive(Clone, Debug, Serialize)]
struct LimitsView {
    default_tier: Option<String>,
    /// Whether nodes keep their rates together; its address holds a password.
    shared_backend: bool,
    max_limiters: usize,
}

#[derive(Clone, Debug, Serialize)]
struct TierView {
    name: String,
    rate: Option<RateView>,
    /// Null: unlimited.
    quota: Option<QuotaView>,
}

#[derive(Clone, Debug, Serialize)]
struct RateView {
    count: u64,
    window_seconds: f64,
    burst: u64,
}

#[derive(Clone, Debug, Serialize)]
struct QuotaView {
    count: u64,
    period: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct LockoutView {
    window_seconds: f64,
    guesses: u32,
    misuses: u32,
    lock_for_seconds: f64,
    on_misuse: &'static str,
    settle_seconds: f64,
    spare_known_sources: bool,
    source_failures: u32,
    source_window_seconds: f64,
}

#[derive(Clone, Debug, Serialize)]
struct UpstreamView {
    name: String,
    servers: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct RouteView {
    name: String,
    methods: Option<Vec<String>>,
    host: Option<String>,
    path: String,
    public: bool,
    require: Vec<String>,
    require_any: Vec<String>,
    upstream: String,
}

impl RunningConfig {
    pub fn of(config: &Config) -> Self {
        let routes = config.policy.routes();
        Self {
            proxy: Proxy {
                listen: config.proxy.listen.iter().map(|listen| listen.addr.to_string()).collect(),
                realm: config.policy.realm.to_string(),
                trusted_proxies: texts(&config.proxy.trusted_proxies),
                threads: config.proxy.threads,
                head_deadline_seconds: seconds(config.proxy.head_deadline),
                grace_seconds: seconds(config.proxy.grace),
                keepalive_seconds: seconds(config.proxy.keepalive),
            },
            management: Management {
                listen: config.management.listen.to_string(),
                insecure: config.management.insecure,
                hosts: config.management.hosts.clone(),
            },
            store: Store {
                url: format!("{:?}", config.store.url),
                migrate_on_start: config.store.migrate_on_start,
                pool: config.store.pool,
            },
            cache: Cache {
                max_keys: config.cache.max_keys,
                ttl_seconds: seconds(config.cache.ttl),
                serve_stale_for_seconds: seconds(config.cache.serve_stale_for),
            },
            limits: LimitsView::of(&config.limits),
            tiers: config.limits.tiers.iter().map(TierView::of).collect(),
            lockout: LockoutView::of(&config.lockout),
            upstreams: config.upstreams.iter().map(UpstreamView::of).collect(),
            routes: routes.iter().map(|route| RouteView::of(route)).collect(),
            warnings: texts(&config.warnings),
            required: routes.iter().flat_map(|route| required(&route.access)).cloned().collect(),
        }
    }

    /// After a reload: what only a restart changes stays as it runs.
    pub fn reloaded(&self, config: &Config) -> Self {
        let new = Self::of(config);
        let Proxy { listen, threads, head_deadline_seconds, grace_seconds, .. } =
            self.proxy.clone();
        Self {
            proxy: Proxy { listen, threads, head_deadline_seconds, grace_seconds, ..new.proxy },
            management: self.management.clone(),
            store: self.store.clone(),
            cache: self.cache.clone(),
            limits: LimitsView { default_tier: new.limits.default_tier, ..self.limits },
            ..new
        }
    }

    pub(super) fn required(&self) -> impl Iterator<Item = &Permission> {
        self.required.iter()
    }
}

impl LimitsView {
    fn of(limits: &LimitSettings) -> Self {
        Self {
            default_tier: limits.default_tier.as_deref().map(str::to_owned),
            shared_backend: limits.backend.is_some(),
            max_limiters: limits.max_limiters,
        }
    }
}

impl TierView {
    fn of(tier: &Tier) -> Self {
        let rate = |rate: Rate| RateView {
            count: rate.count,
            window_seconds: seconds(rate.per),
            burst: rate.burst,
        };
        let quota = match tier.quota {
            Quota::Unlimited => None,
            Quota::Limited { count, period } => Some(QuotaView { count, period: period.as_str() }),
        };
        Self { name: tier.name.to_string(), rate: tier.rate.map(rate), quota }
    }
}

impl LockoutView {
    fn of(settings: &lockout::Settings) -> Self {
        Self {
            window_seconds: seconds(settings.window),
            guesses: settings.guesses,
            misuses: settings.misuses,
            lock_for_seconds: seconds(settings.lock_for),
            on_misuse: match settings.on_misuse {
                OnMisuse::LockAccount => "lock-account",
                OnMisuse::LockKey => "lock-key",
                OnMisuse::Alert => "alert",
            },
            settle_seconds: seconds(settings.settle),
            spare_known_sources: settings.spare_known_sources,
            source_failures: settings.source_failures,
            source_window_seconds: seconds(settings.source_window),
        }
    }
}

impl UpstreamView {
    fn of(upstream: &Upstream) -> Self {
        Self {
            name: upstream.name.to_string(),
            servers: upstream.servers.iter().map(|server| server.addr.clone()).collect(),
        }
    }
}

impl RouteView {
    fn of(route: &Route) -> Self {
        let (all, any) = match &route.access {
            Access::Public => (Vec::new(), Vec::new()),
            Access::Require(Requirement::All(all)) => (texts(all), Vec::new()),
            Access::Require(Requirement::Any(any)) => (Vec::new(), texts(any)),
        };
        Self {
            name: route.name.to_string(),
            methods: route.methods.as_ref().map(|methods| texts(methods.iter())),
            host: route.host.as_ref().map(|host| host.as_str().to_owned()),
            path: route.path.to_string(),
            public: matches!(route.access, Access::Public),
            require: all,
            require_any: any,
            upstream: route.upstream.to_string(),
        }
    }
}

fn required(access: &Access) -> &[Permission] {
    match access {
        Access::Public => &[],
        Access::Require(requirement) => requirement.permissions(),
    }
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
