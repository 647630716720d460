//! Where a node has its `SECRET_KEY` from: the environment, or a file beside the embedded store.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::StoreUrl;
use crate::secret_key::{SecretKey, SecretKeyError, SecretKeys};

/// The secrets as the environment gives them.
#[derive(Default)]
pub struct GivenSecrets {
    pub current: Option<String>,
    pub previous: Option<String>,
}

/// The secrets given, or, with the embedded store, those kept beside the database.
pub fn secret_keys(given: &GivenSecrets, url: &StoreUrl) -> Result<SecretKeys, SecretKeyError> {
    let previous = given.previous.as_deref().map(SecretKey::parse).transpose()?;
    match (&given.current, url) {
        (Some(text), _) => Ok(SecretKeys { current: SecretKey::parse(text)?, previous }),
        (None, StoreUrl::Sqlite(path)) => {
            let files = SecretFiles::beside(path);
            let current = SecretKey::load_or_create(&files.current)?;
            Ok(SecretKeys { current, previous: previous.or(files.load_previous()?) })
        }
        (None, StoreUrl::Postgres(_)) => Err(SecretKeyError::Missing),
    }
}

/// `gatepost.db` has its secret in `gatepost.db.secret`, and amid a rotation the one before in
/// `gatepost.db.secret.previous`.
pub struct SecretFiles {
    current: PathBuf,
    previous: PathBuf,
}

impl SecretFiles {
    pub fn beside(database: &Path) -> Self {
        let named = |suffix| {
            let mut name = database.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { current: named(".secret"), previous: named(".secret.previous") }
    }

    fn load_previous(&self) -> Result<Option<SecretKey>, SecretKeyError> {
        if self.previous.exists() { SecretKey::load(&self.previous).map(Some) } else { Ok(None) }
    }

    /// Makes a new secret and keeps the old one beside it. Wherever this is cut short, the one
    /// that the store is at is in one of the two files.
    pub fn renew(&self) -> Result<SecretKeys, SecretKeyError> {
        let at =
            |path: &Path, cause| SecretKeyError::File { path: path.display().to_string(), cause };
        let draft = self.current.with_extension("secret.new");
        remove(&draft).map_err(|cause| at(&draft, cause))?;
        let current = SecretKey::create(&draft)?;
        let previous = SecretKey::load(&self.current)?;
        remove(&self.previous).map_err(|cause| at(&self.previous, cause))?;
        std::fs::hard_link(&self.current, &self.previous)
            .map_err(|cause| at(&self.previous, cause))?;
        std::fs::rename(&draft, &self.current).map_err(|cause| at(&self.current, cause))?;
        Ok(SecretKeys { current, previous: Some(previous) })
    }

    /// Once the store is at the new secret, the old one is of no use.
    pub fn forget_previous(&self) -> Result<(), SecretKeyError> {
        remove(&self.previous).map_err(|cause| SecretKeyError::File {
            path: self.previous.display().to_string(),
            cause,
        })
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
