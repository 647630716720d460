//! The series that one room each keeps up to date.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use prometheus::{Gauge, Histogram, IntCounter, IntGauge};

use super::series::Series;
use crate::lockout::EventKind;

/// Request heads that were refused before there was a request to record, by what was wrong.
#[derive(Debug)]
pub struct HeadSeries {
    pub malformed: IntCounter,
    pub too_large: IntCounter,
    pub too_slow: IntCounter,
}

/// Connections that were closed before a request was read from them.
#[derive(Debug)]
pub struct ConnectionSeries {
    /// There were `max_connections` already.
    pub total: IntCounter,
    /// Their source had `max_connections_per_source` already.
    pub source: IntCounter,
    /// No TLS handshake in time, or a broken one.
    pub tls: IntCounter,
}

/// How the directory answered without waiting, if it could.
#[derive(Debug)]
pub struct CacheSeries {
    pub hit: IntCounter,
    pub miss: IntCounter,
    /// The store has lately said that there is no such key.
    pub negative: IntCounter,
    /// An id that this instance did not mint, or a digest that nobody imported.
    pub not_ours: IntCounter,
    /// A hit while the store is away.
    pub stale: IntCounter,
    /// The store has been away for too long, or was never reached.
    pub unavailable: IntCounter,
    pub keys: IntGauge,
}

/// How far this node is behind the change feed.
#[derive(Debug)]
pub struct FeedSeries {
    lag: Gauge,
    born: Instant,
    caught_up: AtomicU64,
}

#[derive(Debug)]
pub struct StoreSeries {
    pub up: IntGauge,
    pub load: Histogram,
    pub feed: Histogram,
    pub commit: Histogram,
    pub record_usage: Histogram,
    pub exchange: Histogram,
    pub record_events: Histogram,
}

#[derive(Debug)]
pub struct UsageSeries {
    /// Written to the store.
    pub records: IntCounter,
    /// The queue was full.
    pub dropped_full: IntCounter,
    /// The store would not take the record.
    pub dropped_refused: IntCounter,
    /// Handed over after the stop.
    pub dropped_shutdown: IntCounter,
    /// The spool was full: the oldest.
    pub dropped_spool_full: IntCounter,
    /// The spool could not be written.
    pub dropped_spool_failed: IntCounter,
    /// The spool was not what had been written, and records are known to be missing.
    pub dropped_damaged: IntCounter,
    /// Places in the spool that could not be read.
    pub damaged: IntCounter,
    pub spool_bytes: IntGauge,
    pub waiting: IntGauge,
}

/// Keys that work, and those of them that somebody should look at.
#[derive(Debug)]
pub struct KeySeries {
    pub working: IntGauge,
    pub nearing_expiry: IntGauge,
    pub never_used: IntGauge,
    pub unused: IntGauge,
}

impl KeySeries {
    pub(super) fn new(series: &Series) -> Self {
        let keys = series.gauges(
            "keys",
            "Keys in the store that work, and those of them that somebody should look at.",
            "state",
        );
        let of = |state: &str| keys.with_label_values(&[state]);
        Self {
            working: of("working"),
            nearing_expiry: of("nearing_expiry"),
            never_used: of("never_used"),
            unused: of("unused"),
        }
    }
}

/// How limits are kept.
#[derive(Debug)]
pub struct LimitSeries {
    /// Subjects whose use is remembered.
    pub kept: IntGauge,
    pub evicted: IntCounter,
    /// Quotas asked for, by what the store said.
    pub granted: IntCounter,
    pub exhausted: IntCounter,
    pub unavailable: IntCounter,
    /// Requests held to their rates by the shared backend, or in its place by this node.
    pub backend_shared: IntCounter,
    pub backend_local: IntCounter,
}

impl LimitSeries {
    pub(super) fn new(series: &Series) -> Self {
        let leases = series.counters(
            "quota_leases_total",
            "Leases of quotas asked for, by what the store said.",
            &["result"],
        );
        let backend = series.counters(
            "limit_backend_requests_total",
            "Requests with rates while a backend is configured, by who held them to it.",
            &["by"],
        );
        Self {
            kept: series.gauge("limiters", "Subjects whose use of limits is remembered."),
            evicted: series.counter(
                "limiters_evicted_total",
                "Subjects forgotten because the bound was reached.",
            ),
            granted: leases.with_label_values(&["granted"]),
            exhausted: leases.with_label_values(&["exhausted"]),
            unavailable: leases.with_label_values(&["unavailable"]),
            backend_shared: backend.with_label_values(&["backend"]),
            backend_local: backend.with_label_values(&["node"]),
        }
    }
}

/// Security events, and the messages about them.
#[derive(Debug)]
pub struct SecuritySeries {
    events: Vec<IntCounter>,
    /// The same had been noticed a moment before.
    pub repeated: IntCounter,
    /// The queue was full.
    pub dropped: IntCounter,
    pub delivered: IntCounter,
    pub retried: IntCounter,
    pub given_up: IntCounter,
}

impl SecuritySeries {
    pub(super) fn new(series: &Series) -> Self {
        let events = series.counters(
            "security_events_total",
            "Security events that this node noticed.",
            &["kind"],
        );
        let deliveries = series.counters(
            "webhook_deliveries_total",
            "Attempts to tell webhooks of security events, by how they ended.",
            &["result"],
        );
        let of = |result: &str| deliveries.with_label_values(&[result]);
        Self {
            events: EventKind::ALL
                .iter()
                .map(|kind| events.with_label_values(&[kind.code()]))
                .collect(),
            repeated: series.counter(
                "security_events_repeated_total",
                "Security events that had been noticed a moment before.",
            ),
            dropped: series.counter(
                "security_events_dropped_total",
                "Security events lost because too many came at once.",
            ),
            delivered: of("delivered"),
            retried: of("retried"),
            given_up: of("given_up"),
        }
    }

    pub fn event(&self, kind: EventKind) {
        self.events[kind as usize].inc();
    }
}

impl HeadSeries {
    pub(super) fn new(series: &Series) -> Self {
        let heads = series.counters(
            "rejected_heads_total",
            "Connections closed because of a request head that could not be read.",
            &["reason"],
        );
        let of = |reason: &str| heads.with_label_values(&[reason]);
        Self { malformed: of("malformed"), too_large: of("too_large"), too_slow: of("too_slow") }
    }
}

impl ConnectionSeries {
    pub(super) fn new(series: &Series) -> Self {
        let rejected = series.counters(
            "rejected_connections_total",
            "Connections closed before a request was read from them.",
            &["reason"],
        );
        let of = |reason: &str| rejected.with_label_values(&[reason]);
        Self { total: of("total"), source: of("source"), tls: of("tls") }
    }
}

/// Whether the configuration in use is the one in the file.
#[derive(Debug)]
pub struct ConfigSeries {
    /// Routes that refuse nobody.
    pub in_shadow: IntGauge,
    successful: IntGauge,
    loads: IntCounter,
}

impl ConfigSeries {
    pub(super) fn new(series: &Series) -> Self {
        Self {
            in_shadow: series.gauge("shadow_routes", "Routes that note refusals and enforce none."),
            successful: series.gauge(
                "config_last_reload_successful",
                "1 when the configuration was valid when it was last read.",
            ),
            loads: series.counter("config_loads_total", "Times the configuration was read."),
        }
    }

    pub fn loaded(&self, valid: bool) {
        self.successful.set(i64::from(valid));
        self.loads.inc();
    }
}

impl CacheSeries {
    pub(super) fn new(series: &Series) -> Self {
        let requests = series.counters(
            "key_cache_requests_total",
            "Keys looked up, by how the cache answered.",
            &["result"],
        );
        let of = |result: &str| requests.with_label_values(&[result]);
        Self {
            hit: of("hit"),
            miss: of("miss"),
            negative: of("negative"),
            not_ours: of("not_ours"),
            stale: of("stale"),
            unavailable: of("unavailable"),
            keys: series.gauge("key_cache_keys", "Keys in the cache."),
        }
    }
}

impl FeedSeries {
    pub(super) fn new(series: &Series) -> Self {
        Self {
            lag: series.seconds(
                "change_feed_lag_seconds",
                "Every change older than this is effective on this node.",
            ),
            born: Instant::now(),
            caught_up: AtomicU64::new(0),
        }
    }

    /// The node has applied everything that the feed held at `instant`.
    pub fn caught_up(&self, instant: Instant) {
        let since_birth = instant.saturating_duration_since(self.born).as_millis();
        self.caught_up.store(since_birth.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Every change older than so many seconds is effective on this node.
    pub fn lag_seconds(&self) -> f64 {
        let caught_up = self.caught_up.load(Ordering::Relaxed) as f64 / 1000.0;
        (self.born.elapsed().as_secs_f64() - caught_up).max(0.0)
    }

    /// Time passes without anybody counting it, so the gauge is set when it is read.
    pub(super) fn refresh(&self) {
        self.lag.set(self.lag_seconds());
    }
}

impl StoreSeries {
    pub(super) fn new(series: &Series) -> Self {
        const BUCKETS: &[f64] = &[
            0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
        ];
        let durations = series.histograms(
            "store_query_duration_seconds",
            "What the store took, whether it answered or failed.",
            "op",
            BUCKETS,
        );
        let of = |op: &str| durations.with_label_values(&[op]);
        Self {
            up: series.gauge("store_up", "1 when the last contact with the store succeeded."),
            load: of("load"),
            feed: of("feed"),
            commit: of("commit"),
            record_usage: of("record_usage"),
            exchange: of("exchange"),
            record_events: of("record_events"),
        }
    }
}

impl UsageSeries {
    pub(super) fn new(series: &Series) -> Self {
        let dropped =
            series.counters("usage_dropped_total", "Usage records lost, by reason.", &["reason"]);
        let of = |reason: &str| dropped.with_label_values(&[reason]);
        Self {
            records: series.counter("usage_records_total", "Usage records written to the store."),
            dropped_full: of("full"),
            dropped_refused: of("refused"),
            dropped_shutdown: of("shutdown"),
            dropped_spool_full: of("spool_full"),
            dropped_spool_failed: of("spool_failed"),
            dropped_damaged: of("damaged"),
            damaged: series.counter(
                "usage_spool_damaged_total",
                "Places in the usage spool that could not be read.",
            ),
            spool_bytes: series.gauge("usage_spool_bytes", "Usage records on disk, in bytes."),
            waiting: series.gauge("usage_queue_records", "Usage records waiting for the spool."),
        }
    }
}
