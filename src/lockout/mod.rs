//! Who fails too often: counted in bounded memory, locked for a while.
//!
//! Pure: time comes in as an argument, and what has to be said goes out as findings and as a
//! [`Ledger`] for the other nodes.
//!
//! | file | what lives there |
//! |---|---|
//! | [`source`](Source) | where requests come from |
//! | `window` | counts and distinct things in a sliding window |
//! | `table` | maps whose memory nobody can overfill |
//! | `tally` | a count, and the lock that it led to |
//! | `sources` | failures of strangers: blocks |
//! | `guesses` | wrong secrets for known ids: locks for one source |
//! | `misuses` | right secrets, wrong requests: locks everywhere |
//! | `habits` | where and how much an account is used |
//! | `exchange`, `outbox`, `ledger` | what nodes tell each other |

mod event;
mod exchange;
mod guesses;
mod habits;
mod ledger;
mod misuses;
mod outbox;
mod settings;
mod source;
mod sources;
mod table;
mod tally;
mod window;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use uuid::Uuid;

pub use event::{EventKind, Finding, SecurityEvent};
pub use ledger::{Attempts, KnownSource, Ledger, Lock, Recent, Target};
pub use misuses::Misuse;
pub use settings::{OnMisuse, Settings};
pub use source::Source;

use crate::key::KeyRecord;
use habits::{LastSeen, Newcomers, Volume};
use misuses::Settling;
use outbox::Outbox;
use table::Table;
use tally::Tally;
use window::{slot, slot_start};

/// Entries of each table. All of them full take some 60 MB.
const SOURCES: usize = 65_536;
const GUESSES: usize = 65_536;
const ACCOUNTS: usize = 65_536;
const KNOWN: usize = 262_144;

/// All that is counted on this node.
pub struct Lockout {
    settings: ArcSwap<Settings>,
    sources: Table<Source, Tally>,
    guesses: Table<(Uuid, Source), Tally>,
    /// Accounts, and keys where it is them that are locked.
    misuses: Table<Uuid, Tally>,
    /// The sources that guess at an account.
    spread: Table<Uuid, Newcomers>,
    known: Table<(Uuid, Source), LastSeen>,
    newcomers: Table<Uuid, Newcomers>,
    volumes: Table<Uuid, Volume>,
    settling: Settling,
    /// The end of the last lock on an account or key: until one is made, nobody looks for any.
    last_end: AtomicI64,
    outbox: Outbox,
}

impl Lockout {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            sources: Table::new(SOURCES),
            guesses: Table::new(GUESSES),
            misuses: Table::new(ACCOUNTS),
            spread: Table::new(ACCOUNTS),
            known: Table::new(KNOWN),
            newcomers: Table::new(ACCOUNTS),
            volumes: Table::new(ACCOUNTS),
            settling: Settling::default(),
            last_end: AtomicI64::new(0),
            outbox: Outbox::default(),
        }
    }

    /// Other thresholds from now on. What has been counted goes on counting.
    pub fn reload(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// Whether an account, or this key of it, is locked for `source`.
    pub fn locked(&self, key: &KeyRecord, source: Source, now: Timestamp) -> bool {
        if now.as_microsecond() >= self.last_end.load(Ordering::Relaxed) {
            return false;
        }
        let terms = self.settings.load().lock();
        let holds = |tally: &Tally| tally.holds(now, terms);
        self.guesses.read(&(key.owner.id, source), holds).unwrap_or(false)
            || self.misuses.read(&key.owner.id, holds).unwrap_or(false)
            || self.misuses.read(&key.id, holds).unwrap_or(false)
    }

    fn note_lock(&self, lock: &Lock) {
        if !matches!(lock.target, Target::Source(_)) {
            self.last_end.fetch_max(lock.until.as_microsecond(), Ordering::Relaxed);
        }
    }

    /// A lock of this node's making, for the others too.
    fn announce(&self, lock: &Lock) {
        self.note_lock(lock);
        self.outbox.lock(lock.clone());
    }
}

/// One more attempt, for the other nodes.
fn one(target: Target, what: &str, tally: &Tally, slot_at: Timestamp) -> Attempts {
    Attempts { target, what: what.into(), since: tally.since(), slot_at, count: 1 }
}
