use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::origin::Slot;
use super::owners::{OwnerMark, Owners};
use super::recent::{Mark, Recent};
use super::uptime::Millis;
use crate::config::CacheSettings;
use crate::decision::Answer;
use crate::key::KeyRecord;
use crate::store::FeedSubject;

/// Ids that the store does not know: those of deleted rows, and of keys just being made.
const UNKNOWN_IDS: u64 = 10_000;
const UNKNOWN_FOR: Duration = Duration::from_secs(10);

/// Keys loaded at the same time, or waiting to be.
const MAX_FLIGHTS: usize = 1024;

/// The keys in memory, and the one lock under which they change.
///
/// Its invariant: **a cached key shows every change that has been applied.** Changes are applied
/// and loads land under the same lock. A load that landed before a change is forgotten by it; one
/// that lands after a change which touches it is not taken in ([`Recent::touched`]).
pub(super) struct KeyCache {
    known: Cache<Slot, Arc<Entry>, RandomState>,
    unknown: Cache<Slot, ()>,
    ledger: Mutex<Ledger>,
    ttl: Millis,
}

struct Ledger {
    recent: Recent,
    owners: Owners,
    flights: HashMap<Slot, watch::Receiver<Option<Answer>>>,
}

/// A cached key.
pub(super) struct Entry {
    pub record: Arc<KeyRecord>,
    owner: Arc<OwnerMark>,
    loaded_at: Millis,
    refresh_at: AtomicU64,
}

impl Entry {
    fn is_revoked(&self) -> bool {
        self.record.revoked_at.is_some()
    }

    /// Revoked is for ever, whatever became of the owner.
    fn is_current(&self) -> bool {
        !self.owner.is_outdated() || self.is_revoked()
    }

    /// Whether it is time to load the key again, which is then the caller's to do: others are
    /// told so only after `retry`.
    pub fn take_refresh(&self, now: Millis, retry: Millis) -> bool {
        let due = self.refresh_at.load(Ordering::Relaxed);
        now >= due
            && self
                .refresh_at
                .compare_exchange(due, now + retry, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// How a request that found nothing in the cache goes on.
pub(super) enum Boarding {
    /// A load has landed in the meantime.
    Landed(Answer),
    /// Another request has a load under way.
    Join(watch::Receiver<Option<Answer>>),
    /// The load is the caller's.
    Lead(Flight, watch::Receiver<Option<Answer>>),
    /// As many loads are under way as there may be.
    Full,
}

impl KeyCache {
    pub fn new(settings: &CacheSettings) -> Arc<Self> {
        Arc::new(Self {
            // Only ids that we minted get here, and nobody else can choose one.
            known: Cache::builder()
                .max_capacity(settings.max_keys)
                .build_with_hasher(RandomState::default()),
            unknown: Cache::builder().max_capacity(UNKNOWN_IDS).time_to_live(UNKNOWN_FOR).build(),
            ledger: Mutex::new(Ledger {
                recent: Recent::default(),
                owners: Owners::new(),
                flights: HashMap::new(),
            }),
            ttl: settings.ttl.as_millis() as Millis,
        })
    }

    pub fn get(&self, slot: &Slot) -> Option<Arc<Entry>> {
        self.known.get(slot).filter(|entry| entry.is_current())
    }

    /// Whether the store has lately said that there is no such key.
    pub fn is_unknown(&self, slot: &Slot) -> bool {
        self.unknown.contains_key(slot)
    }

    pub fn len(&self) -> u64 {
        // What was taken in last is counted when the cache finds the time.
        self.known.run_pending_tasks();
        self.known.entry_count()
    }

    /// The way to an answer for `slot`, which the cache did not have a moment ago.
    pub fn board(self: &Arc<Self>, slot: Slot) -> Boarding {
        let mut ledger = self.ledger.lock();
        match self.get(&slot) {
            Some(entry) => Boarding::Landed(Answer::Known(Arc::clone(&entry.record))),
            None => self.take_off(&mut ledger, slot),
        }
    }

    /// A load that replaces a cached key, unless one is under way or too many are.
    pub fn board_refresh(self: &Arc<Self>, slot: Slot) -> Option<Flight> {
        match self.take_off(&mut self.ledger.lock(), slot) {
            Boarding::Lead(flight, _) => Some(flight),
            Boarding::Landed(_) | Boarding::Join(_) | Boarding::Full => None,
        }
    }

    fn take_off(self: &Arc<Self>, ledger: &mut Ledger, slot: Slot) -> Boarding {
        let is_full = ledger.flights.len() >= MAX_FLIGHTS;
        match ledger.flights.entry(slot) {
            Place::Occupied(flight) => Boarding::Join(flight.get().clone()),
            Place::Vacant(_) if is_full => Boarding::Full,
            Place::Vacant(place) => {
                let (answer, waiting) = watch::channel(None);
                place.insert(waiting.clone());
                let cache = Arc::clone(self);
                let begun = ledger.recent.now();
                Boarding::Lead(Flight { cache, slot, begun, answer, is_over: false }, waiting)
            }
        }
    }

    /// Makes a change effective: what it touches is not answered from memory any more.
    pub fn apply(&self, subject: &FeedSubject) {
        let mut ledger = self.ledger.lock();
        match subject {
            FeedSubject::Key(id) => self.forget(&Slot::Minted(*id)),
            FeedSubject::Imported(digest) => self.forget(&Slot::imported(digest)),
            FeedSubject::User(id) => ledger.owners.outdate_user(id),
            FeedSubject::Role(name) => ledger.owners.outdate_role(name),
            FeedSubject::Permission => return,
        }
        ledger.recent.add(subject.clone());
    }

    fn forget(&self, slot: &Slot) {
        self.unknown.invalidate(slot);
        if !self.known.get(slot).is_some_and(|entry| entry.is_revoked()) {
            self.known.invalidate(slot);
        }
    }

    /// Forgets everything, for want of knowing what has changed.
    pub fn forget_all(&self) {
        let mut ledger = self.ledger.lock();
        self.known.invalidate_all();
        self.unknown.invalidate_all();
        ledger.recent.add_unknown();
    }

    /// Forgets the keys that a change may have touched, by walking all of them: for the rare cases
    /// where the feed cannot tell. Loads under way start again, and nothing counts as unknown.
    pub fn forget_if(&self, touched: impl Fn(&KeyRecord) -> bool) {
        self.forget_entries(|entry| touched(&entry.record));
    }

    /// The same for what was loaded at `time` or later.
    pub fn forget_since(&self, time: Millis) {
        self.forget_entries(|entry| entry.loaded_at >= time);
    }

    fn forget_entries(&self, touched: impl Fn(&Entry) -> bool) {
        let mut ledger = self.ledger.lock();
        for (slot, entry) in &self.known {
            if touched(&entry) {
                self.forget(&slot);
            }
        }
        self.unknown.invalidate_all();
        ledger.recent.add_unknown();
    }

    /// Takes in what a load found. `ledger` is held by the caller, so that this and
    /// [`apply`](Self::apply) come one after the other.
    fn keep(&self, ledger: &mut Ledger, slot: Slot, record: Arc<KeyRecord>, now: Millis) {
        let owner = ledger.owners.mark_for(&record);
        let refresh_at = AtomicU64::new(now.saturating_add(self.ttl));
        self.known.insert(slot, Arc::new(Entry { record, owner, loaded_at: now, refresh_at }));
        self.unknown.invalidate(&slot);
    }
}

/// One load under way. Dropping it ends it without an answer.
pub(super) struct Flight {
    cache: Arc<KeyCache>,
    slot: Slot,
    begun: Mark,
    answer: watch::Sender<Option<Answer>>,
    is_over: bool,
}

impl Flight {
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// To be called before each reading: what is applied from here on is newer than the reading.
    pub fn begin(&mut self) {
        self.begun = self.cache.ledger.lock().recent.now();
    }

    /// Ends the flight with what was read since [`begin`](Self::begin), and answers everybody who
    /// waits for it. False when a change has touched it: then it must be read again.
    pub fn land(&mut self, loaded: Option<KeyRecord>, now: Millis) -> bool {
        let cache = Arc::clone(&self.cache);
        let mut ledger = cache.ledger.lock();
        if ledger.recent.touched(&self.slot, loaded.as_ref(), self.begun) {
            return false;
        }
        let answer = match loaded {
            Some(record) => {
                let record = cache.never_unrevoked(&self.slot, Arc::new(record));
                cache.keep(&mut ledger, self.slot, Arc::clone(&record), now);
                Answer::Known(record)
            }
            None => {
                cache.known.invalidate(&self.slot);
                cache.unknown.insert(self.slot, ());
                Answer::Unknown
            }
        };
        // Whoever comes after a change must not join a load that landed before it: the flight
        // ends under the lock that it landed under.
        ledger.flights.remove(&self.slot);
        self.is_over = true;
        self.answer.send_replace(Some(answer));
        true
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.is_over {
            self.cache.ledger.lock().flights.remove(&self.slot);
        }
    }
}

impl KeyCache {
    /// Revoked is sticky: a store that says otherwise is an old copy.
    fn never_unrevoked(&self, slot: &Slot, loaded: Arc<KeyRecord>) -> Arc<KeyRecord> {
        match self.known.get(slot) {
            Some(cached) if cached.is_revoked() && loaded.revoked_at.is_none() => {
                Arc::clone(&cached.record)
            }
            _ => loaded,
        }
    }
}
