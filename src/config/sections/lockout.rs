//! `[lockout]` and `[[webhooks]]`.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;

use crate::config::parse::{duration, duration_or_zero, one_of, rate};
use crate::config::reader::{Fault, Section};
use crate::config::{Webhook, WebhookSecret, WebhookUrl};
use crate::lockout::{EventKind, OnMisuse, Settings};

/// What is counted exactly.
const MAX_GUESSES: u64 = 10_000;
const MAX_MISUSES: u64 = 250;
const MAX_FAILURES: u64 = 60_000;

/// Each has a queue and a task of its own.
const MAX_WEBHOOKS: usize = 16;

/// The least that is hard to guess, and what the specification of webhooks asks for.
const MIN_SECRET: usize = 24;

pub fn lockout(root: &mut Section<'_>) -> Settings {
    let mut lockout = root.section("lockout");
    let default = Settings::default();
    let failures = lockout.read("source_failures", failures);
    Settings {
        window: lockout.read("window", duration).unwrap_or(default.window),
        guesses: count(&mut lockout, "guesses", MAX_GUESSES).unwrap_or(default.guesses),
        misuses: count(&mut lockout, "misuses", MAX_MISUSES).unwrap_or(default.misuses),
        lock_for: lockout.read("lock_for", duration).unwrap_or(default.lock_for),
        on_misuse: lockout.read("on_misuse", on_misuse).unwrap_or(default.on_misuse),
        settle: lockout.read("settle", duration_or_zero).unwrap_or(default.settle),
        spare_known_sources: lockout
            .flag("spare_known_sources")
            .unwrap_or(default.spare_known_sources),
        source_failures: failures.map_or(default.source_failures, |rate| rate.count as u32),
        source_window: failures.map_or(default.source_window, |rate| rate.per),
    }
}

fn count(section: &mut Section<'_>, key: &'static str, most: u64) -> Option<u32> {
    section.count(key, 1..=most).map(|count| count as u32)
}

fn failures(text: &str) -> Result<crate::key::Rate, Fault> {
    let rate = rate(text)?;
    if rate.count > MAX_FAILURES {
        return Err(Fault::new("is more than 60000 failures, which would never block anybody"));
    }
    Ok(rate)
}

fn on_misuse(text: &str) -> Result<OnMisuse, Fault> {
    one_of(&["lock-account", "lock-key", "alert"])(text)?;
    Ok(match text {
        "lock-key" => OnMisuse::LockKey,
        "alert" => OnMisuse::Alert,
        _ => OnMisuse::LockAccount,
    })
}

pub fn webhooks(root: &mut Section<'_>) -> Vec<Webhook> {
    let mut entries = root.entries("webhooks");
    if let Some(surplus) = entries.get(MAX_WEBHOOKS) {
        let message = format!("there are more than {MAX_WEBHOOKS} webhooks");
        surplus.reader().error(surplus.at(), message, None);
    }
    entries.iter_mut().filter_map(webhook).collect()
}

fn webhook(entry: &mut Section<'_>) -> Option<Webhook> {
    let target = entry.require("url", "\"https://alerts.example.com/gatepost\"");
    let secret = entry.require("secret", "\"${WEBHOOK_SECRET}\"");
    let events = entry.list("events", kind).unwrap_or_default();
    // Both may hold what gives access.
    let (target, secret) = (target?.hidden(), secret?.hidden());
    let (url, secret) = (target.parse(url), secret.parse(secret_key));
    let url = url?;
    if is_link_local(&url.host) {
        let message = "`url` is a link-local address, where clouds give out credentials";
        entry.reader().warn(target.at(), message, Some("name the receiver by its own".into()));
    }
    Some(Webhook { url, secret: secret?, events })
}

fn is_link_local(host: &str) -> bool {
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local(),
        Err(_) => false,
    }
}

fn kind(text: &str) -> Result<EventKind, Fault> {
    EventKind::parse(text).ok_or_else(|| {
        let codes: Vec<_> = EventKind::ALL.iter().map(|kind| kind.code()).collect();
        Fault::new("is not an event").hint(format!("there are {}", codes.join(", ")))
    })
}

fn url(text: &str) -> Result<WebhookUrl, Fault> {
    let fault = || {
        Fault::new("is not the address of a webhook")
            .hint("for example https://alerts.example.com/gatepost")
    };
    let uri: Uri = text.parse().map_err(|_| fault())?;
    let tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(fault()),
    };
    let authority = uri.authority().filter(|a| !a.as_str().contains('@')).ok_or_else(fault)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(WebhookUrl {
        tls,
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        authority: authority.as_str().to_owned(),
        path: path.to_owned().into(),
    })
}

/// Any text, or `whsec_` and base64, as receivers give them out.
fn secret_key(text: &str) -> Result<WebhookSecret, Fault> {
    let bytes = match text.strip_prefix("whsec_") {
        Some(encoded) => {
            STANDARD.decode(encoded).map_err(|_| Fault::new("is not base64 after whsec_"))?
        }
        None => text.as_bytes().to_vec(),
    };
    if bytes.len() < MIN_SECRET {
        let hint = "make one with `openssl rand -hex 32`";
        return Err(Fault::new("is shorter than 24 bytes").hint(hint));
    }
    Ok(WebhookSecret::new(bytes))
}
