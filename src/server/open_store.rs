use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::ServeError;
use crate::config::{StoreSettings, StoreUrl};
use crate::secret_key::{SecretKey, SecretKeyError};
use crate::store::{self, Access, Store, StoreError, migrate};

/// How often a store that is away is tried again while the node starts.
const RETRY: Duration = Duration::from_millis(250);

/// The `SECRET_KEY` given, or, with the embedded store, the one kept beside the database.
pub fn secret_key(given: Option<&str>, url: &StoreUrl) -> Result<SecretKey, SecretKeyError> {
    match (given, url) {
        (Some(text), _) => SecretKey::parse(text),
        (None, StoreUrl::Sqlite(path)) => SecretKey::load_or_create(&beside(path)),
        (None, StoreUrl::Postgres(_)) => Err(SecretKeyError::Missing),
    }
}

/// `gatepost.db` has its secret in `gatepost.db.secret`.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".secret");
    name.into()
}

/// Opens the store for a command that works beside a serving node.
pub async fn open_beside(settings: &StoreSettings) -> Result<Arc<dyn Store>, ServeError> {
    bring_up(settings).await?;
    Ok(store::open(settings, Access::Beside).await?)
}

/// A store to serve from. With Postgres away it is not ready yet: [`ServingStore::ready`] goes on
/// trying, so that a node may start before its store.
pub struct ServingStore {
    pub store: Arc<dyn Store>,
    settings: StoreSettings,
    fingerprint: [u8; 16],
    ready: bool,
}

impl ServingStore {
    /// # Errors
    /// The store answers, and does not fit: its schema is newer, migrations are pending or fail,
    /// another process serves from it, or it belongs to nodes with another `SECRET_KEY`.
    pub async fn open(settings: &StoreSettings, secret: &SecretKey) -> Result<Self, ServeError> {
        let there = reachable(bring_up(settings).await)?;
        let store = store::open(settings, Access::Serving).await?;
        let fingerprint = secret.fingerprint();
        let mut opened = Self { store, settings: settings.clone(), fingerprint, ready: false };
        opened.ready = there && reachable(opened.claim().await)?;
        Ok(opened)
    }

    /// Resolves when the store is migrated and known to be ours.
    ///
    /// # Errors
    /// As [`ServingStore::open`].
    pub async fn ready(mut self) -> Result<(), ServeError> {
        while !self.ready {
            tokio::time::sleep(RETRY).await;
            self.ready =
                reachable(bring_up(&self.settings).await)? && reachable(self.claim().await)?;
        }
        Ok(())
    }

    async fn claim(&self) -> Result<(), ServeError> {
        Ok(self.store.claim_secret(self.fingerprint).await?)
    }
}

/// Whether the store answered at all; whatever else is wrong is an error.
fn reachable(result: Result<(), ServeError>) -> Result<bool, ServeError> {
    match result {
        Ok(()) => Ok(true),
        Err(ServeError::Store(StoreError::Unavailable(_))) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Migrates, or insists that somebody has.
async fn bring_up(settings: &StoreSettings) -> Result<(), ServeError> {
    if settings.migrate_on_start {
        for name in migrate::up(&settings.url).await? {
            tracing::info!(migration = name, "migrated");
        }
        return Ok(());
    }
    let pending = migrate::status(&settings.url).await?;
    match pending.iter().filter(|migration| migration.applied_at.is_none()).count() {
        0 => Ok(()),
        count => Err(ServeError::MigrationsPending(count)),
    }
}
