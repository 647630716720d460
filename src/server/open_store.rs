use std::sync::Arc;
use std::time::Duration;

use super::ServeError;
use crate::config::StoreSettings;
use crate::secret_key::SecretKeys;
use crate::store::{self, Access, Store, StoreError, migrate};

/// How often a store that is away is tried again while the node starts.
const RETRY: Duration = Duration::from_millis(250);

/// Opens the store for a command that works beside a serving node.
pub async fn open_beside(
    settings: &StoreSettings,
    secrets: &SecretKeys,
) -> Result<Arc<dyn Store>, ServeError> {
    bring_up(settings).await?;
    Ok(store::open(settings, Access::Beside, secrets.into()).await?)
}

/// A store to serve from. With Postgres away it is not ready yet: [`ServingStore::ready`] goes on
/// trying, so that a node may start before its store.
pub struct ServingStore {
    pub store: Arc<dyn Store>,
    settings: StoreSettings,
    ready: bool,
}

impl ServingStore {
    /// # Errors
    /// The store answers, and does not fit: its schema is newer, migrations are pending or fail,
    /// another process serves from it, or it belongs to nodes with another `SECRET_KEY`.
    pub async fn open(settings: &StoreSettings, secrets: &SecretKeys) -> Result<Self, ServeError> {
        let there = reachable(bring_up(settings).await)?;
        let store = store::open(settings, Access::Serving, secrets.into()).await?;
        let mut opened = Self { store, settings: settings.clone(), ready: false };
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
        Ok(self.store.claim_secret().await?)
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
