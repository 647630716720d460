//! `[cache]`, `[usage]` and `[log]`.

use std::path::{Path, PathBuf};

use super::store::Origin;
use crate::config::parse::{duration, duration_or_zero, nothing_empty, size};
use crate::config::reader::{Fault, Section};
use crate::config::{CacheSettings, LogSettings, StoreUrl, UsageSettings, defaults};

/// Half a kilobyte each: 50 GB.
const MAX_KEYS: u64 = 100_000_000;

/// A few hundred bytes each: a few GB.
const MAX_QUEUE: u64 = 10_000_000;

/// Room for eight segments of a sensible size.
const MIN_SPOOL: u64 = 1 << 20;

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

/// `url` is where the store is: the spool of an embedded one is beside it.
pub fn usage(root: &mut Section<'_>, origin: Origin<'_>, url: Option<&StoreUrl>) -> UsageSettings {
    let mut usage = root.section("usage");
    let folder = origin.path.parent().unwrap_or(Path::new(""));
    let spool = usage.read("spool", nothing_empty).map(|path| folder.join(path));
    let spool = spool.unwrap_or_else(|| match url {
        Some(StoreUrl::Sqlite(database)) => beside(database),
        _ => folder.join(defaults::SPOOL),
    });
    let mut settings = UsageSettings::new(spool);
    if let Some(queue) = usage.count("queue", 1..=MAX_QUEUE) {
        settings.queue = queue as usize;
    }
    if let Some(size) = usage.read("spool_max", spool_size) {
        settings.spool_max = size;
    }
    retention(&mut usage, &mut settings);
    settings
}

/// `gatepost.db` has its spool in `gatepost.db.spool`.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".spool");
    name.into()
}

fn spool_size(text: &str) -> Result<u64, Fault> {
    match size(text)? {
        size if size < MIN_SPOOL => Err(Fault::new("is too small for a spool")
            .hint("at least 1MiB, which is a few thousand requests")),
        size => Ok(size),
    }
}

fn retention(usage: &mut Section<'_>, settings: &mut UsageSettings) {
    let Some(mut retention) = usage.table("retention") else { return };
    if let Some(raw) = retention.read("raw", duration) {
        settings.keep_records = raw;
    }
    if let Some(rollups) = retention.read("rollups", duration) {
        settings.keep_rollups = rollups;
    }
    if settings.keep_rollups < settings.keep_records {
        let message = "the counts would be forgotten before the records they were made of";
        let hint = "give `rollups` at least as long as `raw`";
        retention.reader().warn(retention.at(), message, Some(hint.into()));
    }
}

pub fn log(root: &mut Section<'_>) -> LogSettings {
    let mut log = root.section("log");
    LogSettings {
        filter: log.read("filter", filter).unwrap_or_else(|| defaults::FILTER.into()),
        json: log.flag("json"),
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
