use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::{Mutex, watch};

use super::cache::KeyCache;
use super::contact::Contact;
use super::origin::Origin;
use crate::config::CacheSettings;
use crate::metrics::Metrics;
use crate::store::{FeedEntry, FeedSubject, Store, StoreError};

/// Entries read at once.
const PAGE: usize = 1000;

/// Keeps the cache true: reads the change feed and applies it, in order.
pub(super) struct Feed {
    pub store: Arc<dyn Store>,
    pub cache: Arc<KeyCache>,
    pub contact: Arc<Contact>,
    pub metrics: Arc<Metrics>,
    /// Set at the first contact; until then no key can be judged.
    pub origin: OnceLock<Origin>,
    position: Mutex<Position>,
    /// The number of the last entry applied, for those who need no more than that.
    applied: watch::Sender<u64>,
}

/// The last entry applied; `None` before the first one of an empty feed.
///
/// The entry itself is kept, not only its number: each reading begins with it, and a feed that has
/// something else in its place is another one.
type Position = Option<FeedEntry>;

/// Why a reading of the feed failed.
#[derive(Debug)]
pub(super) enum Fault {
    Store(StoreError),
    /// What answers is not the store that keys were loaded from.
    Foreign(&'static str),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Store(error)
    }
}

impl Feed {
    pub fn new(
        store: Arc<dyn Store>,
        settings: &CacheSettings,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            cache: KeyCache::new(settings),
            contact: Arc::new(Contact::new(settings.serve_stale_for, Arc::clone(&metrics))),
            metrics,
            origin: OnceLock::new(),
            position: Mutex::new(None),
            applied: watch::Sender::new(0),
        })
    }

    /// Applies everything that the feed holds now, and answers how far that is. The first time,
    /// gets to know the store instead: nothing is cached yet that could be old.
    ///
    /// The follower and every commit come here, one at a time.
    pub async fn catch_up(&self) -> Result<u64, Fault> {
        let mut position = self.position.lock().await;
        let (began, instant) = (self.contact.uptime.now(), Instant::now());
        let result = match self.origin.get() {
            Some(origin) => self.read_on(origin, &mut position).await,
            None => self.meet(&mut position).await,
        };
        match result {
            Ok(()) => {
                self.contact.good(began);
                self.metrics.feed.caught_up(instant);
                Ok(*self.applied.borrow())
            }
            Err(fault) => {
                let was_foreign = self.contact.is_foreign();
                self.contact.lost(&fault);
                if self.contact.is_foreign() && !was_foreign {
                    // What was loaded since the store was last known to be ours may be another's.
                    self.cache.forget_since(self.contact.last_good());
                }
                Err(fault)
            }
        }
    }

    /// The number of the last entry applied, now and as it goes on.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// Whether the store that answers is the one we follow, and not older than what we know.
    pub async fn is_ours(&self) -> Result<bool, StoreError> {
        let Some(origin) = self.origin.get() else { return Ok(false) };
        // Read first: the feed may grow, and be applied, while the store is asked.
        let applied = *self.applied.borrow();
        Ok(self.store.instance().await?.id == origin.instance
            && self.store.newest_change().await? >= applied)
    }

    async fn meet(&self, position: &mut Position) -> Result<(), Fault> {
        let instance = self.store.instance().await?;
        self.move_to(position, self.newest().await?);
        let imported = self.store.imported_digests().await?;
        let _ = self.origin.set(Origin::new(instance, imported));
        Ok(())
    }

    async fn read_on(&self, origin: &Origin, position: &mut Position) -> Result<(), Fault> {
        if self.store.instance().await?.id != origin.instance {
            return Err(Fault::Foreign("it has another instance id"));
        }
        loop {
            let after = seq(position).saturating_sub(1);
            let page = {
                let _timer = self.metrics.store.feed.start_timer();
                self.store.changes_after(after, PAGE).await?
            };
            let is_last = page.len() < PAGE;
            match continue_from(position.as_ref(), page)? {
                Continuation::Entries(entries) => {
                    for entry in entries {
                        self.apply(origin, &entry.subject);
                        self.move_to(position, Some(entry));
                    }
                }
                Continuation::Trimmed => self.start_over(origin, position).await?,
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn apply(&self, origin: &Origin, subject: &FeedSubject) {
        if let FeedSubject::Imported(digest) = subject {
            origin.add_imported(digest);
        }
        self.cache.apply(subject);
    }

    /// Changes were trimmed that this node has not seen: nothing in memory can be trusted.
    async fn start_over(&self, origin: &Origin, position: &mut Position) -> Result<(), Fault> {
        tracing::warn!(after = seq(position), "changes were missed; every key is loaded again");
        let newest = self.newest().await?;
        origin.set_imported(self.store.imported_digests().await?);
        self.cache.forget_all();
        self.move_to(position, newest);
        Ok(())
    }

    /// The last entry of the feed.
    async fn newest(&self) -> Result<Option<FeedEntry>, StoreError> {
        match self.store.newest_change().await? {
            0 => Ok(None),
            newest => {
                let entry = self.store.changes_after(newest - 1, 1).await?.into_iter().next();
                let moved = || StoreError::Unavailable("its change feed is being trimmed".into());
                entry.ok_or_else(moved).map(Some)
            }
        }
    }

    fn move_to(&self, position: &mut Position, entry: Option<FeedEntry>) {
        *position = entry;
        self.applied.send_replace(seq(position));
    }
}

fn seq(position: &Position) -> u64 {
    position.as_ref().map_or(0, |entry| entry.seq)
}

/// What a page of the feed says to somebody who has read up to `last`.
enum Continuation {
    Entries(Vec<FeedEntry>),
    Trimmed,
}

/// `page` is what the feed holds from `last` on, `last` included.
fn continue_from(
    last: Option<&FeedEntry>,
    mut page: Vec<FeedEntry>,
) -> Result<Continuation, Fault> {
    match (last, page.first()) {
        (None, None) => Ok(Continuation::Entries(page)),
        (None, Some(first)) if first.seq == 1 => Ok(Continuation::Entries(page)),
        (Some(last), Some(first)) if first == last => {
            page.remove(0);
            Ok(Continuation::Entries(page))
        }
        (Some(last), Some(first)) if first.seq == last.seq => {
            Err(Fault::Foreign("its change feed has another history"))
        }
        (Some(_), None) => Err(Fault::Foreign("its change feed ends before what was read of it")),
        (_, Some(_)) => Ok(Continuation::Trimmed),
    }
}
