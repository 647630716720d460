//! `[cache]`, `[usage]` and `[log]`.

use crate::config::parse::{duration, duration_or_zero, nothing_empty, size};
use crate::config::reader::{Fault, Section};
use crate::config::{CacheSettings, LogSettings, UsageSettings, defaults};

/// Half a kilobyte each: 50 GB.
const MAX_KEYS: u64 = 100_000_000;

/// A few hundred bytes each: a few GB.
const MAX_QUEUE: u64 = 10_000_000;

pub fn cache(root: &mut Section<'_>) -> CacheSettings {
    let mut cache = root.section("cache");
    CacheSettings {
        max_keys: cache.count("max_keys", 1..=MAX_KEYS).unwrap_or(defaults::MAX_KEYS),
        ttl: cache.read("ttl", duration).unwrap_or(defaults::TTL),
        serve_stale_for: cache
            .read("serve_stale_for", duration_or_zero)
            .unwrap_or(defaults::SERVE_STALE_FOR),
    }
}

pub fn usage(root: &mut Section<'_>) -> UsageSettings {
    let mut usage = root.section("usage");
    usage.not_yet("spool", |value| value.parse(nothing_empty));
    usage.not_yet("spool_max", |value| value.parse(size));
    usage.not_yet("retention", |value| value.parse(duration));
    let queue = usage.count("queue", 1..=MAX_QUEUE);
    UsageSettings { queue: queue.map_or(defaults::QUEUE, |queue| queue as usize) }
}

pub fn log(root: &mut Section<'_>) -> LogSettings {
    let mut log = root.section("log");
    LogSettings {
        filter: log.read("filter", filter).unwrap_or_else(|| defaults::FILTER.into()),
        json: log.flag("json").unwrap_or(true),
        access: log.flag("access").unwrap_or(true),
    }
}

fn filter(text: &str) -> Result<String, Fault> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => {
            Err(Fault::new("is not a log filter").hint("for example info, or info,gatepost=debug"))
        }
    }
}
