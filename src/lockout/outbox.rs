use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{Attempts, KnownSource, Ledger, Lock, Source, Target};

/// What may wait for the store, of each sort. Beyond it attempts count on this node alone.
const MOST: usize = 16_384;

/// What one flush takes along, of each sort.
const BATCH: usize = 2_048;

/// What this node has to tell the others.
#[derive(Default)]
pub struct Outbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    attempts: HashMap<Counted, u32>,
    locks: HashMap<Target, Lock>,
    known: HashMap<(Uuid, Source), Timestamp>,
}

#[derive(PartialEq, Eq, Hash)]
struct Counted {
    target: Target,
    what: Box<str>,
    since: Timestamp,
    slot_at: Timestamp,
}

impl Outbox {
    pub fn attempts(&self, attempts: Attempts) {
        self.0.lock().attempts(attempts);
    }

    pub fn lock(&self, lock: Lock) {
        self.0.lock().lock(lock);
    }

    pub fn known(&self, known: KnownSource) {
        self.0.lock().known(known);
    }

    /// The next batch; it is gone from here.
    pub fn take(&self) -> Ledger {
        let mut waiting = self.0.lock();
        let attempts = taken(&mut waiting.attempts).map(|(of, count)| Attempts {
            target: of.target,
            what: of.what,
            since: of.since,
            slot_at: of.slot_at,
            count,
        });
        let attempts = attempts.collect();
        let locks = taken(&mut waiting.locks).map(|(_, lock)| lock).collect();
        let known = taken(&mut waiting.known).map(|((user_id, source), last_seen)| KnownSource {
            user_id,
            source,
            last_seen,
        });
        Ledger { attempts, locks, known: known.collect() }
    }

    /// A batch that the store did not take.
    pub fn put_back(&self, ledger: Ledger) {
        let mut waiting = self.0.lock();
        ledger.attempts.into_iter().for_each(|attempts| waiting.attempts(attempts));
        ledger.locks.into_iter().for_each(|lock| waiting.lock(lock));
        ledger.known.into_iter().for_each(|known| waiting.known(known));
    }
}

impl Waiting {
    fn attempts(&mut self, Attempts { target, what, since, slot_at, count }: Attempts) {
        let of = Counted { target, what, since, slot_at };
        if self.attempts.len() < MOST || self.attempts.contains_key(&of) {
            *self.attempts.entry(of).or_default() += count;
        }
    }

    fn lock(&mut self, lock: Lock) {
        if self.locks.len() < MOST {
            self.locks.insert(lock.target, lock);
        }
    }

    fn known(&mut self, known: KnownSource) {
        if self.known.len() < MOST {
            self.known.insert((known.user_id, known.source), known.last_seen);
        }
    }
}

fn taken<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>) -> impl Iterator<Item = (K, V)> {
    let mut left = BATCH;
    map.extract_if(move |_, _| {
        let is_taken = left > 0;
        left = left.saturating_sub(1);
        is_taken
    })
}
