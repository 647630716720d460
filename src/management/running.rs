//! The configuration that runs, as operators may see it: a closed list, so that what is added to
//! the settings is not shown, secret or not, before somebody says so here.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::config::{Config, Upstream};
use crate::key::Permission;
use crate::policy::{Access, Requirement, Route};

#[derive(Clone, Debug, Serialize)]
pub struct RunningConfig {
    proxy: Proxy,
    management: Management,
    store: Store,
    cache: Cache,
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
            ..new
        }
    }

    pub(super) fn required(&self) -> impl Iterator<Item = &Permission> {
        self.required.iter()
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
