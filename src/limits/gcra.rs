//! The generic cell rate algorithm on one atomic word.
//!
//! The word is the *theoretical arrival time*: when the next request would be due if all came
//! evenly. How far it lies ahead of now is what was used of the burst; a request moves it on by
//! one interval, and is refused if that would be further ahead than the burst is long. Nothing
//! ticks: time alone gives the budget back.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::key::Rate;

/// A rate in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two requests.
    pub interval: u64,
    /// How far ahead of an even pace one may be: the whole burst.
    pub tolerance: u64,
}

impl Pace {
    pub fn of(rate: &Rate) -> Self {
        let interval = rate.interval().as_nanos() as u64;
        Self { interval, tolerance: interval.saturating_mul(rate.burst) }
    }

    /// What is left when `ahead` of the tolerance is used.
    pub fn level(&self, ahead: u64) -> Level {
        let remaining = self.tolerance.saturating_sub(ahead) / self.interval;
        Level { remaining, full_in: Duration::from_nanos(ahead) }
    }
}

/// What is left of a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    pub remaining: u64,
    pub full_in: Duration,
}

/// A request comes too early, by so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooEarly(pub Duration);

/// Each method takes `now` in nanoseconds of a monotonic clock.
#[derive(Debug, Default)]
pub struct Gcra {
    arrival: AtomicU64,
    /// That `arrival` was counted by; zero before the first request.
    interval: AtomicU64,
}

impl Gcra {
    /// What is left now.
    pub fn level(&self, pace: Pace, now: u64) -> Level {
        self.retune(pace, now);
        pace.level(self.arrival.load(Relaxed).saturating_sub(now))
    }

    /// Whether a request would pass.
    pub fn check(&self, pace: Pace, now: u64) -> Result<Level, TooEarly> {
        self.retune(pace, now);
        let next = next(self.arrival.load(Relaxed), pace, now)?;
        Ok(pace.level(next - now))
    }

    /// Takes one request. The word moves in one exchange or not at all, so that any number of
    /// threads together never take more than there is.
    pub fn take(&self, pace: Pace, now: u64) -> Result<Level, TooEarly> {
        self.retune(pace, now);
        let mut arrival = self.arrival.load(Relaxed);
        loop {
            let next = next(arrival, pace, now)?;
            match self.arrival.compare_exchange_weak(arrival, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(pace.level(next - now)),
                Err(other) => arrival = other,
            }
        }
    }

    /// Undoes a [`take`](Gcra::take). Exact at any later time: what `take` skipped of the past was
    /// budget beyond a full one.
    pub fn give_back(&self, pace: Pace) {
        self.update(|arrival| arrival.saturating_sub(pace.interval));
    }

    /// Takes over what was used elsewhere. News may come in any order, and the oldest says least.
    pub fn mirror(&self, pace: Pace, now: u64, ahead: u64) {
        self.retune(pace, now);
        self.arrival.fetch_max(now.saturating_add(ahead), Relaxed);
    }

    /// When all of the budget is, or was, there.
    pub fn full_at(&self) -> u64 {
        self.arrival.load(Relaxed)
    }

    /// After a change of the rate: as many requests stay used as were, so that a raised limit
    /// counts at once and a lowered one forgives nothing.
    fn retune(&self, pace: Pace, now: u64) {
        let before = self.interval.load(Relaxed);
        if before == pace.interval {
            return;
        }
        let ours = self.interval.compare_exchange(before, pace.interval, Relaxed, Relaxed).is_ok();
        if ours && before != 0 {
            self.update(|arrival| {
                let ahead = u128::from(arrival.saturating_sub(now));
                let scaled = ahead * u128::from(pace.interval) / u128::from(before);
                now.saturating_add(u64::try_from(scaled).unwrap_or(u64::MAX))
            });
        }
    }

    fn update(&self, change: impl Fn(u64) -> u64) {
        // A closure that always answers never fails.
        let _ = self.arrival.fetch_update(Relaxed, Relaxed, |arrival| Some(change(arrival)));
    }
}

/// The word after one more request.
fn next(arrival: u64, pace: Pace, now: u64) -> Result<u64, TooEarly> {
    let next = arrival.max(now).saturating_add(pace.interval);
    match (next - now).checked_sub(pace.tolerance) {
        None | Some(0) => Ok(next),
        Some(early) => Err(TooEarly(Duration::from_nanos(early))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn pace(rate: &str) -> Pace {
        Pace::of(&Rate::parse(rate).unwrap())
    }

    fn taken(gcra: &Gcra, pace: Pace, now: u64) -> usize {
        (0..10_000).take_while(|_| gcra.take(pace, now).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_then_one_for_each_interval() {
        let (gcra, pace) = (Gcra::default(), pace("60/min"));
        assert_eq!(taken(&gcra, pace, SECOND), 60);
        assert_eq!(gcra.take(pace, SECOND), Err(TooEarly(Duration::from_secs(1))));
        assert_eq!(taken(&gcra, pace, 2 * SECOND), 1);
        assert_eq!(taken(&gcra, pace, 12 * SECOND), 10);
        assert_eq!(taken(&gcra, pace, 3600 * SECOND), 60, "never more than the burst");
    }

    #[test]
    fn what_is_left_and_when_all_is_there_again() {
        let (gcra, pace) = (Gcra::default(), pace("10/s"));
        let level = gcra.take(pace, 0).unwrap();
        assert_eq!(level, Level { remaining: 9, full_in: Duration::from_millis(100) });
        assert_eq!(gcra.check(pace, 0).unwrap().remaining, 8, "as if it were taken");
        assert_eq!(gcra.take(pace, 0).unwrap().remaining, 8, "checking takes nothing");
    }

    #[test]
    fn what_is_given_back_was_never_taken() {
        let (gcra, pace) = (Gcra::default(), pace("5/s"));
        gcra.take(pace, 7 * SECOND).unwrap();
        gcra.give_back(pace);
        assert_eq!(taken(&gcra, pace, 7 * SECOND), 5);
    }

    #[test]
    fn a_raised_limit_counts_at_once_and_a_lowered_one_forgives_nothing() {
        let gcra = Gcra::default();
        assert_eq!(taken(&gcra, pace("60/min"), SECOND), 60);
        assert_eq!(taken(&gcra, pace("100/min"), SECOND), 40);
        assert_eq!(taken(&gcra, pace("60/min"), SECOND), 0);
        assert_eq!(taken(&gcra, pace("60/min"), 42 * SECOND), 1, "40 too many, then one a second");
    }

    #[test]
    fn threads_together_take_exactly_what_there_is() {
        let (gcra, pace, passed) = (Gcra::default(), pace("10000/s"), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mine = (0..5_000).filter(|_| gcra.take(pace, SECOND).is_ok()).count();
                    passed.fetch_add(mine, Relaxed);
                });
            }
        });
        assert_eq!(passed.into_inner(), 10_000);
    }

    proptest! {
        #[test]
        fn who_comes_back_when_told_passes_and_who_comes_earlier_does_not(
            count in 1..10_000_u64,
            unit in proptest::sample::select(vec!["s", "min", "h", "d"]),
            burst in 1..50_u64,
            steps in proptest::collection::vec(0..3 * SECOND, 1..100),
        ) {
            let rate = Rate { burst, ..Rate::parse(&format!("{count}/{unit}")).unwrap() };
            let (gcra, pace, mut now, mut passed) = (Gcra::default(), Pace::of(&rate), 0, 0);
            for step in steps {
                now += step;
                let Err(TooEarly(wait)) = gcra.take(pace, now) else {
                    passed += 1;
                    continue;
                };
                let wait = wait.as_nanos() as u64;
                prop_assert!(gcra.check(pace, now + wait).is_ok());
                prop_assert!(gcra.check(pace, now + wait - 1).is_err());
                // As `Retry-After` says it, in whole seconds.
                let told = wait.div_ceil(SECOND) * SECOND;
                prop_assert!(gcra.check(pace, now + told).is_ok());
                prop_assert!(gcra.check(pace, now + told - SECOND).is_err());
            }
            prop_assert!(passed <= burst + now / pace.interval, "{passed} in {now} ns");
        }
    }
}
