//! Keys by lookup id: a cache in front of the store, and the feed that keeps it true.

use std::sync::Arc;

use crate::config::CacheSettings;
use crate::decision::{Answer, Credential};
use crate::metrics::Metrics;
use crate::store::{Actor, Change, Committed, Store, StoreError};

/// Finds keys and makes changes; what it answers is never older than the last change applied.
pub struct Directory {
    store: Arc<dyn Store>,
}

impl Directory {
    /// Must be called on the runtime that does the store's work: loads are spawned there,
    /// whichever runtime asks.
    pub fn new(
        store: Arc<dyn Store>,
        settings: &CacheSettings,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let _ = (settings, metrics);
        Arc::new(Self { store })
    }

    /// Follows the change feed until dropped: connects, makes the directory ready, applies
    /// changes in order, catches up after gaps. Never returns.
    pub async fn follow(self: Arc<Self>) {
        todo!()
    }

    /// The answer, if it can be had without waiting. The hot path.
    pub fn cached(&self, credential: &Credential) -> Option<Answer> {
        let _ = credential;
        todo!()
    }

    /// The answer, from the cache or the store. Within a second or so.
    pub async fn find(&self, credential: &Credential) -> Answer {
        let _ = credential;
        todo!()
    }

    /// Makes a change and answers when it is effective on this node.
    pub async fn commit(&self, change: Change, by: &Actor) -> Result<Committed, StoreError> {
        let _ = (change, by);
        todo!()
    }

    /// For reading. Changes go through [`commit`](Directory::commit).
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Whether the store has been reached once, so that keys can be judged.
    pub fn is_ready(&self) -> bool {
        todo!()
    }

    /// Whether the last contact with the store failed.
    pub fn is_degraded(&self) -> bool {
        todo!()
    }
}
