//! What a good file comes to.

use std::time::Duration;

use gatepost::config::{Balance, IdentityHeader, StoreUrl};
use gatepost::policy::{Access, KeySource, Requirement};

use super::{File, MINIMAL};

const FULL: &str = r#"
[proxy]
listen = ["0.0.0.0:8080", { addr = "[::1]:8081" }]
key_sources = ["query:key", "bearer"]
trusted_proxies = ["10.0.0.0/8"]
realm = "orders"
head_deadline = "5s"
grace = "0s"
threads = 3
keepalive = "75s"
enforce = true

[management]
listen = "127.0.0.1:9191"
hosts = ["gatepost.internal"]

[store]
url = "sqlite:///var/lib/gatepost.db"
migrate_on_start = false
pool = 4

[upstreams.orders]
servers = ["127.0.0.1:3000", { addr = "b:443", tls = true, sni = "b.internal", weight = 2 }]
balance = "hash:client-ip"
health_check = { path = "/healthz", every = "2s" }
timeouts = { connect = "250ms", read = "1h" }
identity = ["key-name", "permissions"]

[[routes]]
name = "orders"
path = "/orders/{id}"
methods = ["GET", "PROPFIND"]
host = "api.example.com"
require_any = ["orders:read", "orders:write"]
upstream = "orders"
websocket = true
environments = ["live"]
max_body = "1MiB"
timeouts = { read = "2h" }
forward_key = true

[[routes]]
name = "profile"
path = "/profile"
require = []
upstream = "management"

[cache]
max_keys = 7
ttl = "1min"
serve_stale_for = "0s"

[usage]
queue = 8
spool = "usage"
spool_max = "2MiB"
retention = { raw = "7d", rollups = "90d" }

[log]
filter = "gatepost=debug"
json = false
access = false
"#;

#[test]
fn every_setting_arrives() {
    let config = File::new(FULL).load();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let proxy = &config.proxy;
    assert_eq!(proxy.listen.len(), 2);
    assert!(
        proxy.trusts("10.1.2.3".parse().unwrap()) && !proxy.trusts("11.1.2.3".parse().unwrap())
    );
    assert_eq!(proxy.head_deadline, Duration::from_secs(5));
    assert_eq!((proxy.grace, proxy.threads), (Duration::ZERO, 3));
    assert_eq!(proxy.keepalive, Duration::from_secs(75));
    assert_eq!(config.management.listen.port(), 9191);
    assert_eq!(config.management.hosts, ["gatepost.internal"]);
    assert!(!config.store.migrate_on_start);
    assert_eq!(config.store.pool, 4);
    assert_eq!((config.cache.max_keys, config.cache.serve_stale_for), (7, Duration::ZERO));
    assert_eq!((config.usage.queue, config.usage.spool_max), (8, 2 << 20));
    assert_eq!(config.usage.spool.file_name(), Some("usage".as_ref()));
    let day = Duration::from_secs(24 * 3600);
    assert_eq!((config.usage.keep_records, config.usage.keep_rollups), (7 * day, 90 * day));
    assert_eq!(config.log.filter, "gatepost=debug");
    assert_eq!((config.log.json, config.log.access), (Some(false), false));
}

#[test]
fn upstreams_arrive() {
    let config = File::new(FULL).load();
    let [upstream] = config.upstreams.as_slice() else { panic!("{:?}", config.upstreams) };
    assert_eq!(&*upstream.name, "orders");
    assert_eq!(upstream.balance, Balance::ClientIpHash);
    assert_eq!(upstream.connect_timeout, Duration::from_millis(250));
    assert_eq!(upstream.read_timeout, Duration::from_secs(3600));
    assert_eq!(upstream.write_timeout, Duration::from_secs(30));
    assert_eq!(upstream.identity, [IdentityHeader::KeyName, IdentityHeader::Permissions]);
    let check = upstream.health_check.as_ref().unwrap();
    assert_eq!((check.path.as_str(), check.every), ("/healthz", Duration::from_secs(2)));
    let [plain, tls] = upstream.servers.as_slice() else { panic!("{:?}", upstream.servers) };
    assert_eq!((plain.addr.as_str(), plain.weight, plain.tls), ("127.0.0.1:3000", 1, false));
    assert_eq!((tls.weight, tls.tls, tls.sni.as_deref()), (2, true, Some("b.internal")));
}

#[test]
fn routes_and_credentials_become_the_policy() {
    let config = File::new(FULL).load();
    assert_eq!(&*config.policy.realm, "orders");
    let sources = [KeySource::Query("key".into()), KeySource::Bearer];
    assert_eq!(config.policy.credentials.sources, sources);
    let route = |name| config.policy.routes().iter().find(|route| &*route.name == name).unwrap();
    let orders = route("orders");
    let methods: Vec<_> = orders.methods.as_ref().unwrap().iter().map(|m| m.as_str()).collect();
    assert_eq!(methods, ["GET", "HEAD", "PROPFIND"]);
    assert_eq!(orders.host.as_ref().unwrap().as_str(), "api.example.com");
    assert!(matches!(&orders.access, Access::Require(Requirement::Any(any)) if any.len() == 2));
    assert!(orders.options.websocket && orders.options.forward_key);
    assert_eq!(orders.options.max_body, Some(1024 * 1024));
    assert_eq!(orders.options.timeouts.read, Some(Duration::from_secs(7200)));
    assert_eq!(orders.options.timeouts.connect, None);
    assert_eq!(orders.options.environments.len(), 1);
    let profile = route("profile");
    assert!(matches!(&profile.access, Access::Require(Requirement::All(all)) if all.is_empty()));
    assert!(!profile.options.admin_suffices);
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = File::new(MINIMAL).load();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert_eq!(config.proxy.head_deadline, Duration::from_secs(10));
    assert!(config.proxy.threads >= 1);
    assert!(!config.proxy.trusts("127.0.0.1".parse().unwrap()));
    assert!(config.management.listen.ip().is_loopback());
    assert!(config.store.migrate_on_start);
    assert_eq!(config.policy.credentials.sources.len(), 2);
    assert_eq!(config.log.filter, "info");
}

#[test]
fn paths_are_relative_to_the_file() {
    let file = File::new(MINIMAL);
    let StoreUrl::Sqlite(path) = file.load().store.url else { panic!("not SQLite") };
    assert_eq!(path, file.path().with_file_name("gatepost.db"));
    assert_eq!(file.load().usage.spool, file.path().with_file_name("gatepost.db.spool"));
}
