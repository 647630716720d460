//! `[upstreams.NAME]`.

use crate::config::parse::{
    balance, duration, entry_name, identity, local_path, nothing_empty, server_address, server_name,
};
use crate::config::reader::{Fault, Section, Value};
use crate::config::{Balance, HealthCheck, Server, Upstream, defaults};

/// The upstream that is this process: routes may name it, files may not define it.
pub const MANAGEMENT: &str = "management";

const MAX_WEIGHT: u64 = 1000;

/// The upstreams that are right, and the names of all.
pub struct Upstreams<'d> {
    pub read: Vec<Upstream>,
    pub names: Vec<(Box<str>, Value<'d>)>,
}

pub fn upstreams<'d>(root: &mut Section<'d>) -> Upstreams<'d> {
    let mut all = Upstreams { read: Vec::new(), names: Vec::new() };
    for (name, section) in root.named("upstreams") {
        let checked = name.parse(upstream_name);
        all.read.extend(upstream(checked.clone(), section));
        all.names.extend(checked.map(|checked| (checked, name)));
    }
    if all.names.is_empty() {
        let hint = "for example [upstreams.orders] with servers = [\"127.0.0.1:3000\"]";
        root.reader().absent(root.at(), "there is no upstream", Some(hint.into()));
    }
    all
}

fn upstream_name(text: &str) -> Result<Box<str>, Fault> {
    if text == MANAGEMENT {
        return Err(Fault::new("is a built-in upstream").hint("choose another name"));
    }
    entry_name(text)
}

fn upstream(name: Option<Box<str>>, mut section: Section<'_>) -> Option<Upstream> {
    let servers = servers(&mut section);
    let balance = balance_of(&mut section);
    let health_check = section.table("health_check").and_then(health_check);
    let identity = section.list("identity", identity).unwrap_or_default();
    let mut timeouts = section.table("timeouts");
    let mut timeout = |key, default| {
        timeouts.as_mut().and_then(|table| table.read(key, duration)).unwrap_or(default)
    };
    Some(Upstream {
        connect_timeout: timeout("connect", defaults::CONNECT_TIMEOUT),
        read_timeout: timeout("read", defaults::READ_TIMEOUT),
        write_timeout: timeout("write", defaults::WRITE_TIMEOUT),
        idle_timeout: timeout("idle", defaults::IDLE_TIMEOUT),
        name: name?,
        servers: servers?,
        balance,
        health_check,
        identity,
    })
}

fn servers(section: &mut Section<'_>) -> Option<Vec<Server>> {
    let value = section.require("servers", "[\"127.0.0.1:3000\"]")?;
    let items = value.items()?;
    if items.is_empty() {
        let hint = "for example servers = [\"127.0.0.1:3000\"]";
        value.reader().error(value.at(), "`servers` is empty", Some(hint.into()));
    }
    let mut servers: Vec<Server> = Vec::new();
    for item in &items {
        let Some(server) = server(item) else { continue };
        if servers.iter().any(|other| other.addr == server.addr) {
            let message = format!("`servers` has {} already", server.addr);
            let hint = "to send it more, give it a weight: { addr = \"…\", weight = 2 }";
            item.reader().error(item.at(), message, Some(hint.into()));
        }
        servers.push(server);
    }
    Some(servers)
}

/// `"host:port"`, or a table with one and more.
fn server(item: &Value<'_>) -> Option<Server> {
    if !item.is_table() {
        let addr = item.parse(server_address)?;
        return Some(Server { addr, weight: 1, tls: false, sni: None });
    }
    let mut table = item.table()?;
    table.not_yet("ca", |value| value.parse(nothing_empty));
    let addr = table.require("addr", "\"127.0.0.1:3000\"").and_then(|v| v.parse(server_address));
    let weight = table.count("weight", 1..=MAX_WEIGHT).map_or(1, |weight| weight as usize);
    let tls = table.flag("tls").unwrap_or(false);
    let sni = table.take("sni");
    if let Some(sni) = sni.as_ref().filter(|_| !tls) {
        let hint = "add tls = true, or remove it";
        sni.reader().error(sni.at(), "`sni` says nothing without TLS", Some(hint.into()));
    }
    Some(Server { addr: addr?, weight, tls, sni: sni.and_then(|sni| sni.parse(server_name)) })
}

fn balance_of(section: &mut Section<'_>) -> Balance {
    section.read("balance", balance).unwrap_or(Balance::RoundRobin)
}

fn health_check(mut table: Section<'_>) -> Option<HealthCheck> {
    let every = table.read("every", duration).unwrap_or(defaults::HEALTH_CHECK_EVERY);
    let path = table.require("path", "\"/healthz\"")?.parse(local_path)?;
    Some(HealthCheck { path, every })
}
