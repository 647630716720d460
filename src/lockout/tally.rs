use std::time::Duration;

use jiff::Timestamp;

use super::table::Worth;
use super::window::{Distinct, Slot, Window};
use super::{Lock, Target};

/// An entry that nobody touched for this long matters no more than an empty one.
const STALE: i64 = 60 * 60 * 1_000_000;

/// What is counted against one target, and whether it is locked. Times are microseconds.
#[derive(Debug, Default)]
pub struct Tally {
    /// The last lock or clearing: what came before does not count.
    pub since: i64,
    pub window: Window,
    pub distinct: Distinct,
    until: i64,
    strikes: u8,
    touched: i64,
}

/// How long locks of one kind last.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub first: Duration,
    /// They double up to this, and are forgotten when it has passed since the end of the last.
    pub longest: Duration,
}

impl Tally {
    /// A lock that ends later than any could, by a clock that was set back, is none.
    pub fn holds(&self, now: Timestamp, terms: Terms) -> bool {
        self.left(now, terms).is_some()
    }

    pub fn left(&self, now: Timestamp, terms: Terms) -> Option<Duration> {
        let left =
            u64::try_from(self.until - now.as_microsecond()).ok().filter(|left| *left > 0)?;
        let left = Duration::from_micros(left);
        (left <= terms.longest.max(terms.first)).then_some(left)
    }

    pub fn touch(&mut self, now: Timestamp) {
        self.touched = now.as_microsecond();
    }

    pub fn since(&self) -> Timestamp {
        Timestamp::from_microsecond(self.since).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Locks it, longer than the last time if that was not long ago.
    pub fn lock(&mut self, target: Target, now: Timestamp, terms: Terms) -> Lock {
        let quiet = now.as_microsecond().saturating_sub(self.until);
        let is_again = self.strikes > 0 && quiet < micros(terms.longest);
        self.strikes = if is_again { self.strikes.saturating_add(1) } else { 1 };
        let doubled = terms.first.saturating_mul(1 << u32::from(self.strikes - 1).min(20));
        let length = doubled.min(terms.longest.max(terms.first));
        self.begin(now.as_microsecond());
        self.until = now.as_microsecond().saturating_add(micros(length));
        let until = Timestamp::from_microsecond(self.until).unwrap_or(Timestamp::MAX);
        Lock { target, at: now, until, strikes: self.strikes, cleared_at: None }
    }

    /// What the store says of it.
    pub fn adopt(&mut self, lock: &Lock) {
        if let Some(cleared_at) = lock.cleared_at {
            return self.clear(cleared_at);
        }
        // Two nodes may lock at once: the store kept one, and all follow it.
        let (at, until) = (lock.at.as_microsecond(), lock.until.as_microsecond());
        if at > self.since || at < self.since && until > self.since {
            self.begin(at);
            self.until = until;
            self.strikes = lock.strikes;
        }
    }

    /// Forgives what was counted until `at`, once.
    pub fn clear(&mut self, at: Timestamp) {
        if at.as_microsecond() > self.since {
            self.begin(at.as_microsecond());
            self.until = 0;
            self.strikes = 0;
        }
    }

    /// Whether attempts counted since `since` belong to this count.
    pub fn accepts(&mut self, since: Timestamp) -> bool {
        let since = since.as_microsecond();
        if since > self.since {
            self.begin(since);
        }
        since == self.since
    }

    pub fn total(&self, now: Slot) -> u32 {
        self.window.total(now)
    }

    fn begin(&mut self, since: i64) {
        self.since = since;
        self.window = Window::default();
        self.distinct.clear();
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

impl Worth for Tally {
    fn worth(&self, now: i64) -> Option<u64> {
        if self.until > now {
            return None;
        }
        let is_stale = now.saturating_sub(self.touched) > STALE;
        Some(if is_stale {
            0
        } else {
            1 + u64::from(self.window.weight() + self.distinct.weight())
        })
    }
}
