//! Keys by lookup id: a cache in front of the store, and the feed that keeps it true.
//!
//! A request asks [`Directory::cached`], and only when that cannot tell [`Directory::find`].
//! Every change goes through [`Directory::commit`]. In here:
//!
//! - `origin` tells our ids from a stranger's, before anything is looked up;
//! - `cache` holds the keys, under the invariant that they show every change applied;
//! - `loader` brings keys in, one load per key at a time;
//! - `feed` reads what has changed and applies it; `follow` does so for as long as the node lives;
//! - `contact` knows whether the store is there, and for how long it has not been.

mod cache;
mod contact;
mod feed;
mod follow;
mod loader;
mod origin;
mod owners;
mod reach;
mod recent;
mod uptime;

#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounter;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::CacheSettings;
use crate::decision::{Answer, Credential};
use crate::metrics::Metrics;
use crate::store::{Actor, Change, Committed, Store, StoreError, Terms};

use cache::Entry;
use feed::Feed;
use loader::Loader;
use origin::Slot;
use reach::{Reach, reaches};
use uptime::Millis;

/// How long a change waits to become effective through the feed, before what it is about is
/// forgotten instead.
const CATCH_UP: Duration = Duration::from_secs(2);

/// Between attempts to load a key again whose time has come.
const REFRESH_RETRY: Millis = 5_000;

/// Finds keys and makes changes; what it answers is never older than the last change applied.
pub struct Directory {
    feed: Arc<Feed>,
    loader: Arc<Loader>,
}

impl Directory {
    /// Must be called on the runtime that does the store's work: loads are spawned there,
    /// whichever runtime asks.
    pub fn new(
        store: Arc<dyn Store>,
        settings: &CacheSettings,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let feed = Feed::new(store, settings, metrics);
        let loader = Loader::new(Arc::clone(&feed), Handle::current());
        Arc::new(Self { feed, loader })
    }

    /// Follows the change feed until dropped: connects, makes the directory ready, applies
    /// changes in order, catches up after gaps. Never returns.
    pub async fn follow(self: Arc<Self>) {
        follow::follow(Arc::clone(&self.feed)).await;
    }

    /// The answer, if it can be had without waiting. The hot path.
    pub fn cached(&self, credential: &Credential) -> Option<Answer> {
        let (answer, counter) = self.look(credential);
        counter.inc();
        answer
    }

    fn look(&self, credential: &Credential) -> (Option<Answer>, &IntCounter) {
        let Feed { cache, contact, .. } = &*self.feed;
        let series = &self.feed.metrics.cache;
        let Some(origin) = self.feed.origin.get() else {
            return (Some(Answer::Unavailable), &series.unavailable);
        };
        // First of all, so that strangers reach nothing: neither the cache nor an outage matters.
        let Some(slot) = origin.slot(credential) else {
            return (Some(Answer::Unknown), &series.not_ours);
        };
        let now = contact.uptime.now();
        if contact.is_too_old(now) {
            return (Some(Answer::Unavailable), &series.unavailable);
        }
        let is_lost = contact.is_lost(now);
        match cache.get(&slot) {
            Some(entry) => {
                self.refresh_if_due(slot, &entry, now);
                let counter = if is_lost { &series.stale } else { &series.hit };
                (Some(Answer::Known(Arc::clone(&entry.record))), counter)
            }
            // While the feed cannot be read, the key may have been made elsewhere since.
            None if !is_lost && cache.is_unknown(&slot) => {
                (Some(Answer::Unknown), &series.negative)
            }
            None => (None, &series.miss),
        }
    }

    /// A key stays in use while it is loaded again, so that its time coming during an outage does
    /// not end it.
    fn refresh_if_due(&self, slot: Slot, entry: &Entry, now: Millis) {
        if entry.take_refresh(now, REFRESH_RETRY) {
            self.loader.refresh(slot);
        }
    }

    /// The answer, from the cache or the store. Within a second or so.
    pub async fn find(&self, credential: &Credential) -> Answer {
        let Some(origin) = self.feed.origin.get() else { return Answer::Unavailable };
        match origin.slot(credential) {
            Some(slot) => self.loader.find(slot).await,
            None => Answer::Unknown,
        }
    }

    /// Whether a credential is of our own making, as far as can be told without a look-up.
    pub fn is_ours(&self, credential: &Credential) -> bool {
        self.feed.origin.get().is_some_and(|origin| origin.slot(credential).is_some())
    }

    /// Makes a change and answers when it is effective on this node.
    pub async fn commit(&self, change: Change, by: &Actor) -> Result<Committed, StoreError> {
        self.commit_if(change, &Terms::default(), by).await
    }

    /// The same, if `terms` hold.
    pub async fn commit_if(
        &self,
        change: Change,
        terms: &Terms,
        by: &Actor,
    ) -> Result<Committed, StoreError> {
        let reach = Reach::from(&change);
        let committed = {
            let _timer = self.feed.metrics.store.commit.start_timer();
            self.feed.store.commit_if(change, terms, by).await?
        };
        let caught_up = timeout(CATCH_UP, self.feed.catch_up()).await;
        let is_effective = matches!(caught_up, Ok(Ok(applied)) if applied >= committed.seq);
        if !is_effective {
            tracing::warn!(
                seq = committed.seq,
                "a change was made, but the feed cannot be read: what it is about is forgotten"
            );
            self.feed.cache.forget_if(|key| reaches(&reach, key));
        }
        Ok(committed)
    }

    /// The number of the last change that is effective here, now and as it goes on.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.feed.applied()
    }

    /// For reading. Changes go through [`commit`](Directory::commit).
    pub fn store(&self) -> &dyn Store {
        &*self.feed.store
    }

    /// Whether the store has been reached once, so that keys can be judged.
    pub fn is_ready(&self) -> bool {
        self.feed.origin.get().is_some()
    }

    /// Whether the last contact with the store failed.
    pub fn is_degraded(&self) -> bool {
        self.feed.contact.is_lost(self.feed.contact.uptime.now())
    }
}
