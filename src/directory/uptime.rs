use std::time::{Duration, Instant};

/// Milliseconds of [`Uptime`]: an instant that fits an atomic.
pub(super) type Millis = u64;

/// The monotonic clock of the directory: it neither jumps nor goes back with the wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uptime(Instant);

impl Uptime {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn now(&self) -> Millis {
        millis(self.0.elapsed())
    }
}

pub(super) fn millis(duration: Duration) -> Millis {
    duration.as_secs().saturating_mul(1000).saturating_add(duration.subsec_millis().into())
}
