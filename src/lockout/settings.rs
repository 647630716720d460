use std::time::Duration;

use super::tally::Terms;

/// Source blocks begin with a minute and double to an hour.
const BLOCK: Terms =
    Terms { first: Duration::from_secs(60), longest: Duration::from_secs(60 * 60) };

/// Account locks double to a day.
const LONGEST_LOCK: Duration = Duration::from_secs(24 * 60 * 60);

/// When attempts become locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// In which attempts at an account are counted.
    pub window: Duration,
    /// Wrong secrets for an account from one source that lock it there.
    pub guesses: u32,
    /// Different misuses that lock an account everywhere.
    pub misuses: u32,
    pub lock_for: Duration,
    pub on_misuse: OnMisuse,
    /// After a change of routes or roles, refusals do not count for this long.
    pub settle: Duration,
    /// Never lock an account by guessing where it has worked in the last day.
    pub spare_known_sources: bool,
    /// Failures of one source that block it, and the time they are counted in.
    pub source_failures: u32,
    pub source_window: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMisuse {
    LockAccount,
    LockKey,
    Alert,
}

impl Settings {
    pub(super) fn block(&self) -> Terms {
        BLOCK
    }

    pub(super) fn lock(&self) -> Terms {
        Terms { first: self.lock_for, longest: LONGEST_LOCK.max(self.lock_for) }
    }
}

impl Default for Settings {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            window: 15 * MINUTE,
            guesses: 10,
            misuses: 20,
            lock_for: 15 * MINUTE,
            on_misuse: OnMisuse::LockAccount,
            settle: 10 * MINUTE,
            spare_known_sources: true,
            source_failures: 20,
            source_window: MINUTE,
        }
    }
}
