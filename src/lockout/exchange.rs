use jiff::Timestamp;
use uuid::Uuid;

use super::guesses::brute_force;
use super::misuses::{MOST, misuse_of};
use super::sources::blocked;
use super::tally::{Tally, Terms};
use super::{Attempts, Finding, Ledger, Lock, Lockout, OnMisuse, Settings, Target, slot};

impl Lockout {
    /// What the other nodes have not been told yet.
    pub fn take(&self) -> Ledger {
        self.outbox.take()
    }

    /// They could not be told.
    pub fn put_back(&self, ledger: Ledger) {
        self.outbox.put_back(ledger);
    }

    /// What all nodes together know. Attempts spread over several add up here.
    pub fn apply(&self, news: &Ledger, now: Timestamp) -> Vec<Finding> {
        news.known.iter().for_each(|known| self.learn(known));
        news.locks.iter().for_each(|lock| self.follow(lock, now));
        let settings = self.settings.load();
        news.attempts.iter().filter_map(|attempts| self.add(attempts, &settings, now)).collect()
    }

    /// Forgives an account: its locks end, and its attempts are forgotten.
    pub fn forgive(&self, user: Uuid, at: Timestamp) {
        self.misuses.change(user, at.as_microsecond(), |tally| tally.clear(at));
        self.guesses.change_all(|(owner, _), tally| {
            if *owner == user {
                tally.clear(at);
            }
        });
    }

    /// What the store says of a lock, this node's or another's.
    pub fn follow(&self, lock: &Lock, now: Timestamp) {
        if let (Target::Account(user), Some(cleared_at)) = (lock.target, lock.cleared_at) {
            return self.forgive(user, cleared_at);
        }
        self.note_lock(lock);
        self.change(lock.target, now, |tally| {
            tally.touch(now);
            tally.adopt(lock);
        });
    }

    fn add(&self, attempts: &Attempts, settings: &Settings, now: Timestamp) -> Option<Finding> {
        let target = attempts.target;
        let number = self.misuses.number(&*attempts.what);
        let (window, terms) = match target {
            Target::Source(_) => (settings.source_window, settings.block()),
            _ => (settings.window, settings.lock()),
        };
        let (theirs, current) = (slot(attempts.slot_at, window), slot(now, window));
        self.change(target, now, |tally| {
            if !tally.accepts(attempts.since) || tally.holds(now, terms) {
                return None;
            }
            tally.touch(now);
            match target {
                Target::Source(_) | Target::Guess(..) => tally.window.raise(theirs, attempts.count),
                Target::Account(_) | Target::Key(_) => {
                    tally.distinct.note(number, theirs, MOST);
                }
            }
            self.judge(target, tally, current, terms, settings, now)
        })
        .flatten()
    }

    /// Whether what has been counted is enough, now that it is counted together.
    fn judge(
        &self,
        target: Target,
        tally: &mut Tally,
        current: i64,
        terms: Terms,
        settings: &Settings,
        now: Timestamp,
    ) -> Option<Finding> {
        let (count, enough) = match target {
            Target::Source(_) => (tally.total(current), settings.source_failures),
            Target::Guess(..) => (tally.total(current), settings.guesses),
            Target::Account(_) | Target::Key(_) => {
                (tally.distinct.count(current), settings.misuses)
            }
        };
        let spared = match target {
            Target::Guess(user, source) => self.is_spared(settings, user, source, now),
            Target::Account(_) | Target::Key(_) => settings.on_misuse == OnMisuse::Alert,
            Target::Source(_) => false,
        };
        if count < enough || spared {
            return None;
        }
        let lock = tally.lock(target, now, terms);
        self.announce(&lock);
        Some(match target {
            Target::Source(source) => blocked(source, count, &lock, settings),
            Target::Guess(user, source) => brute_force(user, source, count, Some(&lock), settings),
            Target::Account(user) => misuse_of(target, count, Some(&lock), settings).user(user),
            Target::Key(key) => misuse_of(target, count, Some(&lock), settings).key(key),
        })
    }

    fn change<T>(
        &self,
        target: Target,
        now: Timestamp,
        change: impl FnOnce(&mut Tally) -> T,
    ) -> Option<T> {
        let at = now.as_microsecond();
        match target {
            Target::Source(source) => self.sources.change(source, at, change),
            Target::Guess(user, source) => self.guesses.change((user, source), at, change),
            Target::Account(id) | Target::Key(id) => self.misuses.change(id, at, change),
        }
    }
}
