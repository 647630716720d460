//! The directory in front of a scripted store.

mod changes;
mod interleaving;
mod lookups;
mod outage;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::Directory;
use super::scripted::ScriptedStore;
use crate::config::CacheSettings;
use crate::decision::{Answer, Credential};
use crate::key::{Digest, KeyRecord};
use crate::metrics::Metrics;
use crate::store::{Actor, Change};

const HOUR: Duration = Duration::from_secs(3600);

/// A directory, its store, and one key of `user`, who is a `developer`.
struct Stand {
    store: Arc<ScriptedStore>,
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
    user: Uuid,
    key: Uuid,
    credential: Credential,
}

impl Stand {
    async fn ready() -> Self {
        Self::with(CacheSettings { max_keys: 1000, ttl: HOUR, serve_stale_for: HOUR }).await
    }

    async fn with(settings: CacheSettings) -> Self {
        let stand = Self::before_contact(settings);
        stand.poll().await.expect("the store is there");
        stand
    }

    fn before_contact(settings: CacheSettings) -> Self {
        let store = ScriptedStore::new();
        let user = Uuid::now_v7();
        let (key, credential) = store.add_key(user, "developer");
        let metrics = Arc::new(Metrics::new(&[]));
        let directory = Directory::new(store.clone(), &settings, metrics.clone());
        Self { store, directory, metrics, user, key, credential }
    }

    /// One reading of the feed, which `follow` does by the second.
    async fn poll(&self) -> Result<u64, super::feed::Fault> {
        self.directory.feed.catch_up().await
    }

    /// As the gate does it.
    async fn ask(&self, credential: &Credential) -> Answer {
        match self.directory.cached(credential) {
            Some(answer) => answer,
            None => self.directory.find(credential).await,
        }
    }

    async fn ask_key(&self) -> Answer {
        self.ask(&self.credential).await
    }

    async fn commit(&self, change: Change) {
        self.directory.commit(change, &actor()).await.expect("the change is made");
    }

    fn revoke(&self) -> Change {
        Change::RevokeKey { id: self.key }
    }

    fn lock(&self) -> Change {
        Change::LockUser { id: self.user, until: None, reason: None }
    }
}

fn actor() -> Actor {
    Actor { user_id: None, key_id: None, ip: None, request_id: None, at: Timestamp::UNIX_EPOCH }
}

fn known(answer: Answer) -> Arc<KeyRecord> {
    match answer {
        Answer::Known(key) => key,
        other => panic!("expected a key, not {other:?}"),
    }
}

fn is_unknown(answer: &Answer) -> bool {
    matches!(answer, Answer::Unknown)
}

fn is_unavailable(answer: &Answer) -> bool {
    matches!(answer, Answer::Unavailable)
}

/// The same id with a secret that somebody guessed.
fn guess(credential: &Credential) -> Credential {
    let Credential::Minted { lookup_id, .. } = *credential else { unreachable!("ids are guessed") };
    Credential::Minted { lookup_id, digest: Digest::of(b"a guess") }
}
