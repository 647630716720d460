//! `[proxy]` and `[management]`.

use std::net::SocketAddr;
use std::path::Path;

use crate::config::parse::{
    duration, duration_or_zero, host, key_source, network, nothing_empty, realm, socket_address,
};
use crate::config::reader::{Place, Reader, Section, Value};
use crate::config::{Certificate, Listen, ManagementSettings, ProxySettings, defaults};
use crate::policy::CredentialRules;

/// More threads than any machine has cores.
const MAX_THREADS: u64 = 1024;

/// More connections than a process may have files.
const MANY_CONNECTIONS: u64 = 1 << 20;

/// `[proxy]`: its settings, and what it says about the policy.
pub struct Proxy {
    pub settings: ProxySettings,
    pub for_routes: ForRoutes,
}

pub struct ForRoutes {
    pub credentials: CredentialRules,
    pub realm: Box<str>,
    /// Otherwise every route is in shadow.
    pub enforce: bool,
}

/// Relative paths are relative to `folder`.
pub fn proxy(root: &mut Section<'_>, folder: &Path) -> Proxy {
    let mut proxy = root.section("proxy");
    Proxy {
        settings: ProxySettings {
            listen: listen(&mut proxy, folder),
            max_connections: connections(&mut proxy, "max_connections", defaults::MAX_CONNECTIONS),
            max_connections_per_source: connections(
                &mut proxy,
                "max_connections_per_source",
                defaults::MAX_CONNECTIONS_PER_SOURCE,
            ),
            trusted_proxies: trusted_proxies(&mut proxy),
            head_deadline: proxy.read("head_deadline", duration).unwrap_or(defaults::HEAD_DEADLINE),
            grace: proxy.read("grace", duration_or_zero).unwrap_or(defaults::GRACE),
            threads: proxy
                .count("threads", 1..=MAX_THREADS)
                .map_or_else(defaults::threads, |threads| threads as usize),
            keepalive: proxy.read("keepalive", duration).unwrap_or(defaults::KEEPALIVE),
        },
        for_routes: ForRoutes {
            credentials: credentials(&mut proxy),
            realm: proxy.read("realm", realm).unwrap_or_else(|| defaults::REALM.into()),
            enforce: enforce(&mut proxy),
        },
    }
}

fn enforce(proxy: &mut Section<'_>) -> bool {
    let Some(value) = proxy.take("enforce").filter(|value| value.flag() == Some(false)) else {
        return true;
    };
    let message = "every route is in shadow: refusals are noted, and every request passes";
    let hint = "remove `enforce` when the noted refusals are the right ones";
    value.reader().warn(value.at(), message, Some(hint.into()));
    false
}

fn listen(proxy: &mut Section<'_>, folder: &Path) -> Vec<Listen> {
    let example = "[\"0.0.0.0:8080\"]";
    let Some(value) = proxy.require("listen", example) else { return Vec::new() };
    let Some(items) = value.items() else { return Vec::new() };
    if items.is_empty() {
        let hint = format!("for example listen = {example}");
        value.reader().error(value.at(), "`listen` is empty: nobody could call", Some(hint));
    }
    let mut listen = Vec::new();
    for item in &items {
        let Some(new) = listener(item, folder) else { continue };
        if let Some(other) = listen.iter().find(|other: &&Listen| collide(other.addr, new.addr)) {
            item.reader().error(item.at(), format!("`listen` has {} already", other.addr), None);
        }
        listen.push(new);
    }
    listen
}

/// An address, or a table with one and how TLS and HTTP/2 are spoken there.
fn listener(item: &Value<'_>, folder: &Path) -> Option<Listen> {
    if !item.is_table() {
        let addr = item.parse(socket_address)?;
        return Some(Listen { addr, certificate: None, h2c: false });
    }
    let mut table = item.table()?;
    let addr = table.require("addr", "\"0.0.0.0:8080\"").and_then(|v| v.parse(socket_address));
    let certificate = certificate(&mut table, folder);
    let h2c = table.flag("h2c").unwrap_or(false);
    if h2c && certificate.is_some() {
        let message = "`h2c` is HTTP/2 without TLS, and this listener has a certificate";
        let hint = "leave it out: with TLS, clients choose HTTP/2 by themselves";
        table.reader().error(item.at(), message, Some(hint.into()));
    }
    Some(Listen { addr: addr?, certificate, h2c })
}

/// A certificate and its key: both, or neither.
fn certificate(table: &mut Section<'_>, folder: &Path) -> Option<Certificate> {
    let cert = table.take("cert");
    let key = table.take("key");
    match (&cert, &key) {
        (Some(_), None) => table.missing("key", "\"tls.key\""),
        (None, Some(_)) => table.missing("cert", "\"tls.crt\""),
        _ => {}
    }
    let file = |value: Value<'_>| Some(folder.join(value.parse(nothing_empty)?));
    Some(Certificate { cert: file(cert?)?, key: file(key?)? })
}

fn connections(proxy: &mut Section<'_>, key: &'static str, default: u64) -> usize {
    proxy.count(key, 1..=MANY_CONNECTIONS).unwrap_or(default) as usize
}

/// Whether two listeners would be refused by the system: the same port, and an address in common.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let overlap = a.ip() == b.ip()
        || (a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified()));
    a.port() == b.port() && a.port() != 0 && overlap
}

fn trusted_proxies(proxy: &mut Section<'_>) -> Vec<ipnet::IpNet> {
    let Some(value) = proxy.take("trusted_proxies") else { return Vec::new() };
    let networks = value.list(network).unwrap_or_default();
    if networks.iter().any(|network| network.prefix_len() == 0) {
        let message = "anybody can claim to be any client address";
        let hint = "name the networks of your own proxies alone";
        value.reader().warn(value.at(), message, Some(hint.into()));
    }
    networks
}

fn credentials(proxy: &mut Section<'_>) -> CredentialRules {
    let Some(value) = proxy.take("key_sources") else { return CredentialRules::default() };
    let Some(items) = value.items() else { return CredentialRules::default() };
    if items.is_empty() {
        let hint = "for example key_sources = [\"header:X-API-Key\", \"bearer\"]";
        let message = "`key_sources` is empty: no key could be read";
        value.reader().error(value.at(), message, Some(hint.into()));
    }
    let mut sources = Vec::new();
    for item in &items {
        let Some(source) = item.parse(key_source) else { continue };
        if sources.contains(&source) {
            let message = format!("`{}` is listed twice", item.shown());
            item.reader().error(item.at(), message, Some("keep one".into()));
        }
        sources.push(source);
    }
    CredentialRules { sources }
}

pub fn management(root: &mut Section<'_>, proxy: &[Listen]) -> ManagementSettings {
    let mut management = root.section("management");
    let insecure = management.flag("insecure").unwrap_or(false);
    let hosts = management.list("hosts", host).unwrap_or_default();
    let hosts = hosts.iter().map(|host| host.as_str().to_owned()).collect();
    let written = management.take("listen");
    let listen = written.as_ref().and_then(|value| value.parse(socket_address));
    let at = written.as_ref().map_or(management.at(), |value| value.at());
    let listen = listen.unwrap_or(defaults::MANAGEMENT);
    judge_exposure(root.reader(), at, listen, insecure);
    if let Some(taken) = proxy.iter().find(|taken| collide(taken.addr, listen)) {
        let message = format!("the proxy listens on {} already", taken.addr);
        root.reader().error(at, message, Some("give the management listener its own port".into()));
    }
    ManagementSettings { listen, insecure, hosts }
}

/// Keys travel over this listener, and so far without TLS.
fn judge_exposure(reader: &Reader<'_>, at: &Place, listen: SocketAddr, insecure: bool) {
    if !listen.ip().is_loopback() && !insecure {
        let message = format!("management would answer in the clear on {listen}");
        let hint = "listen on 127.0.0.1, or write insecure = true if something else protects it";
        reader.error(at, message, Some(hint.into()));
    }
}
