//! What this node holds of one quota: leased from the store, used without asking.

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::key::QuotaPeriod;
use crate::store::{QuotaAccount, QuotaHolder, QuotaLease};

/// A hundredth of the quota at a time: so often, at most, does a request wait for the store.
const LEASES: u64 = 100;

/// More than this at a time makes the store no happier, and is lost when a node dies.
const LARGEST_LEASE: u64 = 10_000;

/// A tenth of the quota may pass on each node while the store cannot be asked.
const CREDIT: u64 = 10;

/// After "nothing is left" the store is not asked for so long: others may give something back.
const EXHAUSTED_FOR: u64 = 10 * NANOS;

/// After no answer the store is not asked for so long.
const AWAY_FOR: u64 = NANOS;

const NANOS: u64 = 1_000_000_000;

/// A quota as it applies to one request.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub account: QuotaAccount,
    pub limit: u64,
}

impl Claim {
    /// `limit` requests of `holder` in the period around `now`.
    pub fn new(holder: QuotaHolder, limit: u64, period: QuotaPeriod, now: Timestamp) -> Self {
        let (starts_at, ends_at) = period.around(now);
        Self { account: QuotaAccount { holder, period, starts_at, ends_at }, limit }
    }

    pub fn lease_size(&self) -> u64 {
        (self.limit / LEASES).clamp(1, LARGEST_LEASE)
    }

    fn credit(&self) -> i64 {
        (self.limit / CREDIT).max(1) as i64
    }
}

/// What became of a request that claims one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    Taken {
        /// As far as this node knows.
        remaining: u64,
        /// What is leased will soon be used up: now is the time to ask for more.
        low: bool,
    },
    /// The quota is used up.
    Spent,
    /// The store cannot be asked, and what may pass without it has passed.
    Unknown,
    /// The store has to be asked first.
    Ask,
}

#[derive(Debug, Default)]
pub struct QuotaMeter {
    state: Mutex<Option<State>>,
    /// Held by who asks the store, so that one lease is under way at a time.
    pub turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    claim: Claim,
    /// Leased and not used.
    left: u64,
    /// Leased by all nodes, when the store last told.
    used: u64,
    /// To be added to what the store counts: passed without a lease, or to be given back.
    owed: i64,
    /// Do not ask the store before this time.
    quiet_until: u64,
    answer: LastAnswer,
    /// The next lease was asked for ahead of need.
    asked_ahead: bool,
    /// Since the last sweep.
    touched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastAnswer {
    Granted,
    Exhausted,
    Away,
}

impl QuotaMeter {
    /// What [`take`](QuotaMeter::take) would answer, without taking.
    pub fn check(&self, claim: &Claim, now: u64) -> Take {
        let mut state = self.state.lock();
        current(&mut state, claim).judge(now)
    }

    /// What is left of the quota, as far as this node knows.
    pub fn remaining(&self, claim: &Claim) -> u64 {
        let mut state = self.state.lock();
        current(&mut state, claim).remaining()
    }

    pub fn take(&self, claim: &Claim, now: u64) -> Take {
        let mut state = self.state.lock();
        let state = current(&mut state, claim);
        let take = state.judge(now);
        if let Take::Taken { low, .. } = take {
            state.touched = true;
            state.asked_ahead |= low;
            match state.left {
                0 => state.owed += 1,
                _ => state.left -= 1,
            }
        }
        take
    }

    /// Undoes a [`take`](QuotaMeter::take).
    pub fn give_back(&self, claim: &Claim) {
        let mut state = self.state.lock();
        if let Some(state) = state.as_mut().filter(|state| state.claim.account == claim.account) {
            state.left += 1;
        }
    }

    /// What the store answered to a lease.
    pub fn leased(&self, claim: &Claim, lease: QuotaLease, now: u64) {
        let mut state = self.state.lock();
        let state = current(&mut state, claim);
        state.left += lease.granted;
        state.used = lease.used;
        state.asked_ahead = false;
        state.answer = LastAnswer::Granted;
        if lease.granted == 0 {
            state.answer = LastAnswer::Exhausted;
            state.quiet_until = now + EXHAUSTED_FOR;
        }
    }

    /// The store did not answer.
    pub fn away(&self, claim: &Claim, now: u64) {
        let mut state = self.state.lock();
        let state = current(&mut state, claim);
        // Who was known to have nothing left gets nothing on credit.
        if state.answer != LastAnswer::Exhausted {
            state.answer = LastAnswer::Away;
        }
        state.asked_ahead = false;
        state.quiet_until = now + AWAY_FOR;
    }

    /// Takes out what the store has to be told: what is owed, and what has lain unused since the
    /// last call, or all that is left.
    pub fn settle(&self, everything: bool) -> Option<(QuotaAccount, i64)> {
        let mut state = self.state.lock();
        let state = state.as_mut()?;
        if everything || !state.touched {
            state.owed -= std::mem::take(&mut state.left) as i64;
        }
        state.touched = false;
        state.take_owed()
    }

    /// Takes out what is owed alone.
    pub fn owed(&self) -> Option<(QuotaAccount, i64)> {
        self.state.lock().as_mut()?.take_owed()
    }

    /// The store was not told after all. What was to be given back may have arrived, so it is
    /// not given back again: a quota is never given out twice.
    pub fn unsettle(&self, account: &QuotaAccount, delta: i64) {
        let mut state = self.state.lock();
        if let Some(state) = state.as_mut().filter(|state| state.claim.account == *account) {
            state.owed += delta.max(0);
        }
    }
}

/// The state for `claim`. A new period begins with nothing; a changed limit gives back what was
/// leased under the old one, so that it counts at once, up or down.
fn current<'s>(state: &'s mut Option<State>, claim: &Claim) -> &'s mut State {
    let fresh = |owed| State {
        claim: *claim,
        left: 0,
        used: 0,
        owed,
        quiet_until: 0,
        answer: LastAnswer::Granted,
        asked_ahead: false,
        touched: true,
    };
    let owed = match state {
        Some(state) if state.claim.account != claim.account => Some(0),
        Some(state) if state.claim.limit != claim.limit => Some(state.owed - state.left as i64),
        Some(_) => None,
        None => Some(0),
    };
    if let Some(owed) = owed {
        *state = Some(fresh(owed));
    }
    state.get_or_insert_with(|| fresh(0))
}

impl State {
    fn take_owed(&mut self) -> Option<(QuotaAccount, i64)> {
        let owed = std::mem::take(&mut self.owed);
        (owed != 0).then_some((self.claim.account, owed))
    }

    fn remaining(&self) -> u64 {
        self.claim.limit.saturating_sub(self.used) + self.left
    }

    fn judge(&self, now: u64) -> Take {
        let may_ask = now >= self.quiet_until;
        let remaining = self.remaining();
        match self.left {
            0 if may_ask => Take::Ask,
            0 => match self.answer {
                LastAnswer::Away if self.owed < self.claim.credit() => {
                    Take::Taken { remaining: remaining.saturating_sub(1), low: false }
                }
                LastAnswer::Away => Take::Unknown,
                LastAnswer::Granted => Take::Ask,
                LastAnswer::Exhausted => Take::Spent,
            },
            left => Take::Taken {
                remaining: remaining.saturating_sub(1),
                low: may_ask && !self.asked_ahead && left <= self.claim.lease_size() / 2,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn claim(limit: u64, now: &str) -> Claim {
        let holder = QuotaHolder::User(Uuid::nil());
        Claim::new(holder, limit, QuotaPeriod::Day, now.parse().unwrap())
    }

    fn today(limit: u64) -> Claim {
        claim(limit, "2026-11-23T12:00:00Z")
    }

    fn taken(meter: &QuotaMeter, claim: &Claim, now: u64) -> usize {
        let passes = |_: &usize| matches!(meter.take(claim, now), Take::Taken { .. });
        (0..10_000).take_while(passes).count()
    }

    fn lease(meter: &QuotaMeter, claim: &Claim, granted: u64, used: u64) {
        meter.leased(claim, QuotaLease { granted, used }, 0);
    }

    #[test]
    fn what_is_leased_passes_and_then_the_store_is_asked() {
        let meter = QuotaMeter::default();
        let claim = today(1_000);
        assert_eq!(meter.take(&claim, 0), Take::Ask);
        lease(&meter, &claim, 10, 300);
        assert_eq!(meter.take(&claim, 0), Take::Taken { remaining: 709, low: false });
        assert_eq!(taken(&meter, &claim, 0), 9);
        assert_eq!(meter.take(&claim, 0), Take::Ask);
    }

    #[test]
    fn the_next_lease_is_asked_for_once_before_it_is_needed() {
        let (meter, claim) = (QuotaMeter::default(), today(1_000));
        lease(&meter, &claim, 10, 10);
        let lows =
            (0..10).filter(|_| matches!(meter.take(&claim, 0), Take::Taken { low: true, .. }));
        assert_eq!(lows.count(), 1);
    }

    #[test]
    fn an_empty_quota_stays_spent_without_asking_and_then_asks_again() {
        let (meter, claim) = (QuotaMeter::default(), today(5));
        lease(&meter, &claim, 0, 5);
        assert_eq!(meter.take(&claim, EXHAUSTED_FOR - 1), Take::Spent);
        assert_eq!(meter.take(&claim, EXHAUSTED_FOR), Take::Ask);
    }

    #[test]
    fn without_the_store_a_tenth_passes_and_is_owed() {
        let (meter, claim) = (QuotaMeter::default(), today(1_000));
        meter.away(&claim, 0);
        assert_eq!(taken(&meter, &claim, 0), 100);
        assert_eq!(meter.take(&claim, 0), Take::Unknown);
        assert_eq!(meter.take(&claim, AWAY_FOR), Take::Ask);
        assert_eq!(meter.settle(false), Some((claim.account, 100)));
        meter.unsettle(&claim.account, 100);
        meter.away(&claim, AWAY_FOR);
        assert_eq!(meter.take(&claim, AWAY_FOR), Take::Unknown, "what is owed stays owed");
    }

    #[test]
    fn what_was_spent_gets_nothing_on_credit() {
        let (meter, claim) = (QuotaMeter::default(), today(1_000));
        lease(&meter, &claim, 0, 1_000);
        meter.away(&claim, EXHAUSTED_FOR);
        assert_eq!(meter.take(&claim, EXHAUSTED_FOR), Take::Spent);
    }

    #[test]
    fn a_raised_limit_counts_at_once_and_gives_back_the_old_lease() {
        let (meter, old, new) = (QuotaMeter::default(), today(5), today(50));
        lease(&meter, &old, 0, 5);
        assert_eq!(meter.take(&old, 0), Take::Spent);
        assert_eq!(meter.take(&new, 0), Take::Ask);
        lease(&meter, &new, 3, 8);
        assert_eq!(meter.take(&old, 0), Take::Ask);
        assert_eq!(meter.settle(false), Some((old.account, -3)));
    }

    #[test]
    fn a_new_period_begins_with_nothing_used() {
        let (meter, before) = (QuotaMeter::default(), today(5));
        lease(&meter, &before, 0, 5);
        let after = claim(5, "2026-11-24T00:00:00Z");
        assert_eq!(meter.take(&after, 0), Take::Ask);
        assert_eq!(meter.settle(true), None);
    }

    #[test]
    fn a_clock_that_jumps_there_and_back_gives_nothing_twice() {
        let (meter, today) = (QuotaMeter::default(), today(5));
        lease(&meter, &today, 3, 3);
        let tomorrow = claim(5, "2026-11-24T12:00:00Z");
        assert_eq!(meter.take(&tomorrow, 0), Take::Ask);
        lease(&meter, &tomorrow, 2, 2);
        assert_eq!(meter.take(&today, 0), Take::Ask, "the store knows what is used of today");
        lease(&meter, &today, 2, 5);
        assert_eq!(taken(&meter, &today, 0), 2);
    }

    #[test]
    fn what_lies_unused_is_given_back_and_never_twice() {
        let (meter, claim) = (QuotaMeter::default(), today(1_000));
        lease(&meter, &claim, 10, 10);
        assert_eq!(meter.settle(false), None, "it was just leased");
        assert_eq!(meter.settle(false), Some((claim.account, -10)));
        meter.unsettle(&claim.account, -10);
        assert_eq!(meter.settle(true), None);
    }
}
