//! The database file: how it is made, opened and kept to one serving process.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};

use crate::store::StoreError;

/// How long a statement waits for another process that writes; shorter than a call may take.
const BUSY: Duration = Duration::from_millis(800);

/// Makes the file, for its owner alone, unless it is there. SQLite gives the files beside it
/// (`-wal`, `-shm`) the same mode.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    private(path).map(drop)
}

/// Opens a file that is there.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Unavailable(format!(
            "{} does not exist: `gatepost migrate up` makes it",
            path.display()
        )));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may take the last commits, but never the file's integrity.
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Holds the place of the one serving process until dropped, or until the process dies.
pub(super) struct ServingLock {
    _file: File,
}

impl ServingLock {
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let file = private(&beside(database, ".lock"))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            StoreError::Unavailable(format!(
                "another gatepost serves from {}: stop it first, or use Postgres for several",
                database.display()
            ))
        })?;
        Ok(Self { _file: file })
    }
}

fn private(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
