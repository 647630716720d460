use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::cache::{Boarding, Flight, KeyCache};
use super::contact::Contact;
use super::feed::Feed;
use super::origin::Slot;
use crate::decision::Answer;
use crate::key::{Digest, KeyRecord};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};

/// Queries for keys at the same time; other loads wait for their turn.
const CONCURRENT_LOADS: usize = 64;

/// What a load may take, waiting for its turn included.
const LOAD_DEADLINE: Duration = Duration::from_secs(1);

/// How often a load is begun again because its key changed while it was read. A key that changes
/// faster than it can be read is not answered for, rather than answered with something old.
const ATTEMPTS: usize = 8;

/// Brings keys from the store into the cache, one load per key at a time.
pub(super) struct Loader {
    pub store: Arc<dyn Store>,
    pub cache: Arc<KeyCache>,
    pub contact: Arc<Contact>,
    pub feed: Arc<Feed>,
    pub metrics: Arc<Metrics>,
    /// Where loads run, so that a client that goes away does not cancel what others wait for.
    runtime: Handle,
    turns: Semaphore,
}

impl Loader {
    pub fn new(feed: Arc<Feed>, runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(&feed.store),
            cache: Arc::clone(&feed.cache),
            contact: Arc::clone(&feed.contact),
            metrics: Arc::clone(&feed.metrics),
            feed,
            runtime,
            turns: Semaphore::new(CONCURRENT_LOADS),
        })
    }

    pub async fn find(self: &Arc<Self>, slot: Slot) -> Answer {
        match self.cache.board(slot) {
            Boarding::Landed(answer) => answer,
            Boarding::Full => Answer::Unavailable,
            Boarding::Join(waiting) => answer(waiting).await,
            Boarding::Lead(flight, waiting) => {
                self.start(flight);
                answer(waiting).await
            }
        }
    }

    /// Loads a cached key again, behind the requests that it goes on serving.
    pub fn refresh(self: &Arc<Self>, slot: Slot) {
        if let Some(flight) = self.cache.board_refresh(slot) {
            self.start(flight);
        }
    }

    fn start(self: &Arc<Self>, flight: Flight) {
        let loader = Arc::clone(self);
        self.runtime.spawn(async move {
            let slot = flight.slot();
            let Ok(result) = tokio::time::timeout(LOAD_DEADLINE, loader.load(flight)).await else {
                return tracing::debug!(?slot, "a key was not loaded in time");
            };
            if let Err(error) = result {
                tracing::debug!(?slot, %error, "a key was not loaded");
            }
        });
    }

    async fn load(&self, mut flight: Flight) -> Result<(), StoreError> {
        let _turn = self.turns.acquire().await.map_err(|_| unavailable("shutting down"))?;
        for _ in 0..ATTEMPTS {
            flight.begin();
            let loaded = self.read(flight.slot()).await?;
            if flight.land(loaded, self.contact.uptime.now()) {
                return Ok(());
            }
        }
        Err(unavailable("the key changes faster than it can be read"))
    }

    async fn read(&self, slot: Slot) -> Result<Option<KeyRecord>, StoreError> {
        if self.contact.is_foreign() {
            return Err(unavailable("it is another store"));
        }
        let loaded = {
            let _timer = self.metrics.store.load.start_timer();
            match slot {
                Slot::Minted(id) => self.store.load_key(&id).await,
                Slot::Imported(digest) => {
                    self.store.load_imported(&Digest::from_bytes(digest)).await
                }
            }
        }?;
        // An id that we minted and the store does not know: before anybody is told that their key
        // is invalid, be sure that this is our store, and not an older or an empty copy.
        if loaded.is_none() && !self.feed.is_ours().await? {
            return Err(unavailable("it is another store, or an older copy"));
        }
        Ok(loaded)
    }
}

async fn answer(mut waiting: watch::Receiver<Option<Answer>>) -> Answer {
    match waiting.wait_for(Option::is_some).await {
        Ok(answer) => answer.clone().unwrap_or(Answer::Unavailable),
        // The flight ended without landing.
        Err(_) => Answer::Unavailable,
    }
}

fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable(reason.into())
}
