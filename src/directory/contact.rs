use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use super::feed::Fault;
use super::uptime::{Millis, Uptime, millis};
use crate::metrics::Metrics;

/// Contact is made every second. When nothing was heard for this long, whoever should have made
/// it is stuck, and that is as bad as a store that is away.
const SILENCE: Millis = 5_000;

const GOOD: u8 = 0;
const LOST: u8 = 1;
const FOREIGN: u8 = 2;

/// Whether the store is there, and since when it is not.
pub(super) struct Contact {
    pub uptime: Uptime,
    last_good: AtomicU64,
    state: AtomicU8,
    serve_stale_for: Millis,
    metrics: Arc<Metrics>,
}

impl Contact {
    pub fn new(serve_stale_for: Duration, metrics: Arc<Metrics>) -> Self {
        Self {
            uptime: Uptime::start(),
            last_good: AtomicU64::new(0),
            state: AtomicU8::new(GOOD),
            serve_stale_for: millis(serve_stale_for),
            metrics,
        }
    }

    pub fn last_good(&self) -> Millis {
        self.last_good.load(Ordering::Acquire)
    }

    pub fn is_lost(&self, now: Millis) -> bool {
        self.state.load(Ordering::Acquire) != GOOD || self.silence(now) > SILENCE
    }

    /// Whether the store has been away for longer than known keys may go on without it.
    pub fn is_too_old(&self, now: Millis) -> bool {
        self.is_lost(now) && self.silence(now) > self.serve_stale_for
    }

    /// Whether what answers is another store than the one that keys were loaded from.
    pub fn is_foreign(&self) -> bool {
        self.state.load(Ordering::Acquire) == FOREIGN
    }

    fn silence(&self, now: Millis) -> Millis {
        now.saturating_sub(self.last_good())
    }

    /// At `time` the store was there, and everything in its feed has been applied.
    pub fn good(&self, time: Millis) {
        let away = self.silence(time);
        self.last_good.store(time, Ordering::Release);
        self.metrics.store.up.set(1);
        if self.state.swap(GOOD, Ordering::AcqRel) != GOOD {
            tracing::info!(away_seconds = away / 1000, "the store is back");
        }
    }

    /// Said once per loss, not per attempt.
    pub fn lost(&self, fault: &Fault) {
        self.metrics.store.up.set(0);
        match fault {
            Fault::Store(error) => {
                let lost =
                    self.state.compare_exchange(GOOD, LOST, Ordering::AcqRel, Ordering::Acquire);
                if lost.is_ok() {
                    tracing::error!(%error, "the store is lost; known keys go on working");
                }
            }
            Fault::Foreign(reason) => {
                if self.state.swap(FOREIGN, Ordering::AcqRel) != FOREIGN {
                    tracing::error!(
                        reason,
                        "this is not the store that keys were loaded from; known keys go on \
                         working for a while. Bring the right store back, or restart this node \
                         if the change is meant"
                    );
                }
            }
        }
    }
}
