use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ServeError;
use crate::config::{StoreSettings, StoreUrl};
use crate::secret_key::{SecretKey, SecretKeyError};
use crate::store::Store;

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

/// Opens the store for serving: migrated, and of the same secret as this node.
pub async fn open_store(
    settings: &StoreSettings,
    secret: &SecretKey,
) -> Result<Arc<dyn Store>, ServeError> {
    let _ = (settings, secret);
    todo!()
}
