//! Migrations of a SQLite file. The lock is the one that SQLite takes for a writer.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::file;
use super::values::{Id, Micros, all, run};
use crate::clock;
use crate::key::{BUILT_IN_PERMISSIONS, BUILT_IN_ROLES};
use crate::store::StoreError;
use crate::store::migrate::{
    Applied, Migration, MigrationStatus, newest, next, random_id_key, report, statements,
};

/// How long to wait for another process that migrates.
const WAIT: Duration = Duration::from_secs(30);

pub fn up(path: &Path, known: &[Migration]) -> Result<Vec<String>, StoreError> {
    file::create(path)?;
    let mut db = open(path)?;
    let mut done = Vec::new();
    while let Some(migration) = step_up(&mut db, known)? {
        done.push(migration.full_name());
    }
    Ok(done)
}

pub fn down(path: &Path, known: &[Migration]) -> Result<Option<String>, StoreError> {
    let mut db = open(path)?;
    let step = begin(&mut db)?;
    let Some(migration) = newest(known, &applied(&step)?)? else { return Ok(None) };
    execute(&step, migration, migration.down)?;
    run(&step, "DELETE FROM schema_versions WHERE version = ?1", [migration.version])?;
    step.commit()?;
    Ok(Some(migration.full_name()))
}

pub fn status(path: &Path, known: &[Migration]) -> Result<Vec<MigrationStatus>, StoreError> {
    if !path.exists() {
        return report(known, &[]);
    }
    status_of(&open(path)?, known)
}

pub(super) fn status_of(
    db: &Connection,
    known: &[Migration],
) -> Result<Vec<MigrationStatus>, StoreError> {
    report(known, &applied(db)?)
}

/// Applies the next migration. When none is left it brings the built-in rows up to date, so that
/// a newer version's list is followed.
fn step_up<'a>(
    db: &mut Connection,
    known: &'a [Migration],
) -> Result<Option<&'a Migration>, StoreError> {
    let step = begin(db)?;
    let Some(migration) = next(known, &applied(&step)?)? else {
        seed(&step)?;
        step.commit()?;
        return Ok(None);
    };
    execute(&step, migration, migration.up)?;
    run(
        &step,
        "INSERT INTO schema_versions (version, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)",
        params![migration.version, migration.name, migration.checksum(), Micros(clock::now())],
    )?;
    if migration.version == 1 {
        found_instance(&step)?;
    }
    step.commit()?;
    Ok(Some(migration))
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    // Two processes that turn a new file to WAL at the same time get "locked" at once, whatever
    // the busy timeout.
    let deadline = Instant::now() + WAIT;
    loop {
        match file::open(path) {
            Err(StoreError::Unavailable(_)) if path.exists() && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
            Ok(db) => {
                db.busy_timeout(WAIT)?;
                return Ok(db);
            }
        }
    }
}

fn begin(db: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    Ok(db.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn applied(db: &Connection) -> Result<Vec<Applied>, StoreError> {
    // The table may be missing, and looking must not make it.
    let exists = "SELECT 1 FROM sqlite_schema WHERE name = 'schema_versions'";
    if all(db, exists, [], |_| Ok(()))?.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT version, checksum, applied_at FROM schema_versions ORDER BY version";
    all(db, sql, [], |row| {
        Ok(Applied { version: row.get(0)?, checksum: row.get(1)?, at: row.get::<_, Micros>(2)?.0 })
    })
}

fn execute(db: &Connection, migration: &Migration, sql: &str) -> Result<(), StoreError> {
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_versions (
             version    INTEGER PRIMARY KEY,
             name       TEXT    NOT NULL,
             -- SHA-256 of the file, in hex.
             checksum   TEXT    NOT NULL,
             applied_at INTEGER NOT NULL
         ) STRICT",
    )?;
    for (n, statement) in statements(sql).enumerate() {
        db.execute_batch(statement)
            .map_err(|error| migration.failed(n + 1, statement, &error.to_string()))?;
    }
    Ok(())
}

fn found_instance(db: &Connection) -> Result<(), StoreError> {
    let sql = "INSERT INTO instance (only_row, id, id_key, created_at) VALUES (1, ?1, ?2, ?3)";
    run(db, sql, params![Id(Uuid::new_v4()), random_id_key()?, Micros(clock::now())])?;
    Ok(())
}

fn seed(db: &Connection) -> Result<(), StoreError> {
    let now = Micros(clock::now());
    for (name, category, description) in BUILT_IN_PERMISSIONS {
        run(
            db,
            "INSERT INTO permissions (name, category, description, built_in, created_at)
             VALUES (?1, ?2, ?3, 1, ?4)
             ON CONFLICT (name) DO UPDATE SET
                 category = excluded.category, description = excluded.description, built_in = 1",
            params![name, category, description, now],
        )?;
    }
    for (name, description, patterns) in BUILT_IN_ROLES {
        run(
            db,
            "INSERT INTO roles (name, description, built_in, created_at, updated_at)
             VALUES (?1, ?2, 1, ?3, ?3)
             ON CONFLICT (name) DO UPDATE SET description = excluded.description, built_in = 1",
            params![name, description, now],
        )?;
        run(db, "DELETE FROM role_permissions WHERE role = ?1", [name])?;
        for pattern in *patterns {
            let sql = "INSERT INTO role_permissions (role, pattern) VALUES (?1, ?2)";
            run(db, sql, [name, pattern])?;
        }
    }
    Ok(())
}
