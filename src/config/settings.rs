use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use zeroize::Zeroizing;

use super::{Problem, defaults};
use crate::key::{Quota, Rate};
use crate::lockout::{self, EventKind};
use crate::policy::Policy;

/// A whole configuration. It exists only valid.
#[derive(Debug)]
pub struct Config {
    pub proxy: ProxySettings,
    pub management: ManagementSettings,
    pub store: StoreSettings,
    pub upstreams: Vec<Upstream>,
    pub policy: Policy,
    pub tests: Vec<PolicyTest>,
    pub cache: CacheSettings,
    pub usage: UsageSettings,
    pub limits: LimitSettings,
    pub lockout: lockout::Settings,
    pub webhooks: Vec<Webhook>,
    pub log: LogSettings,
    /// What is odd but not wrong.
    pub warnings: Vec<Problem>,
}

#[derive(Clone, Debug)]
pub struct ProxySettings {
    pub listen: Vec<Listen>,
    /// Client connections at once, in all.
    pub max_connections: usize,
    /// Client connections at once from one address, or one /64; trusted proxies are not counted.
    pub max_connections_per_source: usize,
    /// Whose `X-Forwarded-For` is believed; empty is nobody's.
    pub trusted_proxies: Vec<IpNet>,
    /// The time from the first byte of a request head to its last.
    pub head_deadline: Duration,
    /// The longest that a stop waits for requests in flight.
    pub grace: Duration,
    /// Worker threads; the number of cores unless given.
    pub threads: usize,
    /// How long an idle client connection is kept.
    pub keepalive: Duration,
}

impl ProxySettings {
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub addr: SocketAddr,
    /// Speaks TLS with it, and HTTP/2 with clients that ask for it by ALPN.
    pub certificate: Option<Certificate>,
    /// Takes HTTP/2 in the clear from clients that begin with it.
    pub h2c: bool,
}

/// A certificate chain and its private key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug)]
pub struct ManagementSettings {
    pub listen: SocketAddr,
    /// An address other than loopback without TLS must be asked for in so many words.
    pub insecure: bool,
    /// The `Host` values it answers to, lower case, without port, besides its own address.
    pub hosts: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct StoreSettings {
    pub url: StoreUrl,
    pub migrate_on_start: bool,
    /// Connections in the pool (Postgres).
    pub pool: usize,
}

/// A parsed store address. `Debug` shows no password.
#[derive(Clone)]
pub enum StoreUrl {
    Sqlite(PathBuf),
    /// The whole URL, password included.
    Postgres(Zeroizing<String>),
}

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreUrl::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            StoreUrl::Postgres(_) => f.write_str("postgres://[redacted]"),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Upstream {
    pub name: Box<str>,
    pub servers: Vec<Server>,
    pub balance: Balance,
    pub health_check: Option<HealthCheck>,
    pub connect_timeout: Duration,
    pub read_timeout: Duration,
    pub write_timeout: Duration,
    /// How long an idle connection to it is kept; shorter than its own.
    pub idle_timeout: Duration,
    /// What it is told of the caller, besides the ids of user and key.
    pub identity: Vec<IdentityHeader>,
}

/// A verified fact about the caller that an upstream can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityHeader {
    KeyName,
    Tier,
    Environment,
    /// The required permissions that matched.
    Permissions,
    /// All of it in a signed JWT.
    Assertion,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `host:port`.
    pub addr: String,
    pub weight: usize,
    pub tls: bool,
    pub sni: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    ClientIpHash,
}

#[derive(Clone, Debug)]
pub struct HealthCheck {
    pub path: String,
    pub every: Duration,
}

/// One `[[tests]]` entry, run by `gatepost check`.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    pub method: http::Method,
    pub path: String,
    pub host: Option<String>,
    /// `None`: without a key.
    pub permissions: Option<Vec<crate::key::Pattern>>,
    /// The environment of that key.
    pub environment: crate::key::Environment,
    /// `None` is `allow`.
    pub expect: Option<crate::decision::Denial>,
    /// Line and column of the entry.
    pub place: (usize, usize),
}

#[derive(Clone, Debug)]
pub struct CacheSettings {
    pub max_keys: u64,
    /// How long a key may be served from the cache without being loaded again.
    pub ttl: Duration,
    /// How long known keys go on working while the store is away.
    pub serve_stale_for: Duration,
}

#[derive(Clone, Debug)]
pub struct UsageSettings {
    /// Records kept in memory until they are in the spool; more are dropped and counted.
    pub queue: usize,
    /// The directory of this node where records wait for the store.
    pub spool: PathBuf,
    /// Its bound in bytes; beyond it the oldest records are dropped and counted.
    pub spool_max: u64,
    /// How long records are kept in the store, and how long the counts by the minute.
    pub keep_records: Duration,
    pub keep_rollups: Duration,
}

impl UsageSettings {
    /// What it is when nothing but the spool is given.
    pub fn new(spool: PathBuf) -> Self {
        Self {
            queue: defaults::QUEUE,
            spool,
            spool_max: defaults::SPOOL_MAX,
            keep_records: defaults::KEEP_RECORDS,
            keep_rollups: defaults::KEEP_ROLLUPS,
        }
    }
}

#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A `tracing` filter, e.g. `info` or `gatepost=debug`.
    pub filter: String,
    /// JSON, or lines for people; `None` is lines on a terminal and JSON elsewhere.
    pub json: Option<bool>,
    /// One line per request.
    pub access: bool,
}

/// Without tiers.
impl Default for LimitSettings {
    fn default() -> Self {
        let max_limiters = defaults::MAX_LIMITERS;
        Self { tiers: Vec::new(), default_tier: None, backend: None, max_limiters }
    }
}

#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// In the order of the file.
    pub tiers: Vec<Tier>,
    /// One of them, for users whose tier is gone from the file; `None` only when there are none.
    pub default_tier: Option<Box<str>>,
    /// Where nodes keep their rates together; on each node's own unless given.
    pub backend: Option<SharedSettings>,
    /// Subjects (users, keys, clients) whose use is remembered.
    pub max_limiters: usize,
}

/// What users of one `subscription_tier` may do, with all their keys together.
#[derive(Clone, Debug)]
pub struct Tier {
    pub name: Box<str>,
    pub rate: Option<Rate>,
    pub quota: Quota,
}

/// A Redis or Valkey server. `Debug` shows no password.
#[derive(Clone)]
pub struct SharedSettings {
    /// The whole URL, password included.
    pub url: Zeroizing<String>,
    /// How long a request waits for it.
    pub budget: Duration,
}

impl std::fmt::Debug for SharedSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "redis://[redacted] within {:?}", self.budget)
    }
}

/// Somebody who is told of security events.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: WebhookUrl,
    pub secret: WebhookSecret,
    /// Empty is all of them.
    pub events: Vec<EventKind>,
}

/// Where a webhook is. Its path often is what gives access, so `Debug` shows the host alone.
#[derive(Clone)]
pub struct WebhookUrl {
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
    /// As it is written, for the `Host` header.
    pub authority: String,
    pub path: Zeroizing<String>,
}

impl std::fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.authority)
    }
}

/// What a webhook's messages are signed with.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret([redacted])")
    }
}
