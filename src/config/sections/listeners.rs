//! `[proxy]` and `[management]`.

use std::net::SocketAddr;

use crate::config::parse::{
    duration, duration_or_zero, host, key_source, network, nothing_empty, realm, socket_address,
};
use crate::config::reader::{Place, Reader, Section, Value};
use crate::config::{Listen, ManagementSettings, ProxySettings, defaults};
use crate::policy::CredentialRules;

/// More threads than any machine has cores.
const MAX_THREADS: u64 = 1024;

/// `[proxy]`: its settings, and what it says about credentials and the realm, which are the
/// policy's.
pub struct Proxy {
    pub settings: ProxySettings,
    pub credentials: CredentialRules,
    pub realm: Box<str>,
}

pub fn proxy(root: &mut Section<'_>) -> Proxy {
    let mut proxy = root.section("proxy");
    // The verdict is computed and recorded, but lets everything pass.
    proxy.not_yet("enforce", |value| value.flag().filter(|enforce| !enforce));
    Proxy {
        settings: ProxySettings {
            listen: listen(&mut proxy),
            trusted_proxies: trusted_proxies(&mut proxy),
            head_deadline: proxy.read("head_deadline", duration).unwrap_or(defaults::HEAD_DEADLINE),
            grace: proxy.read("grace", duration_or_zero).unwrap_or(defaults::GRACE),
            threads: proxy
                .count("threads", 1..=MAX_THREADS)
                .map_or_else(defaults::threads, |threads| threads as usize),
            keepalive: proxy.read("keepalive", duration).unwrap_or(defaults::KEEPALIVE),
        },
        credentials: credentials(&mut proxy),
        realm: proxy.read("realm", realm).unwrap_or_else(|| defaults::REALM.into()),
    }
}

fn listen(proxy: &mut Section<'_>) -> Vec<Listen> {
    let example = "[\"0.0.0.0:8080\"]";
    let Some(value) = proxy.require("listen", example) else { return Vec::new() };
    let Some(items) = value.items() else { return Vec::new() };
    if items.is_empty() {
        let hint = format!("for example listen = {example}");
        value.reader().error(value.at(), "`listen` is empty: nobody could call", Some(hint));
    }
    let mut listen = Vec::new();
    for item in &items {
        let Some(addr) = listen_address(item) else { continue };
        if let Some(other) = listen.iter().find(|other: &&Listen| collide(other.addr, addr)) {
            item.reader().error(item.at(), format!("`listen` has {} already", other.addr), None);
        }
        listen.push(Listen { addr });
    }
    listen
}

/// An address, or a table with one and how TLS and HTTP/2 are spoken there.
fn listen_address(item: &Value<'_>) -> Option<SocketAddr> {
    if !item.is_table() {
        return item.parse(socket_address);
    }
    let mut table = item.table()?;
    table.not_yet("cert", |value| value.parse(nothing_empty));
    table.not_yet("key", |value| value.parse(nothing_empty));
    table.not_yet("h2c", |value| value.flag().filter(|on| *on));
    table.require("addr", "\"0.0.0.0:8080\"")?.parse(socket_address)
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
