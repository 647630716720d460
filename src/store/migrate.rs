//! Schema versions: the same numbers for both dialects, each in a transaction, under a lock.
//!
//! One step is: take the lock, read what was applied, apply the next one, commit. It is repeated
//! until nothing is left, so that any number of processes may start on an empty database at once.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{StoreError, postgres, sqlite};
use crate::config::StoreUrl;

/// One version of the schema, with the way back.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: u32,
    pub name: &'static str,
    pub up: &'static str,
    pub down: &'static str,
}

/// What the table `schema_versions` holds of one that was applied.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub version: u32,
    pub checksum: String,
    pub at: Timestamp,
}

/// One line of `gatepost migrate status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    pub name: String,
    /// `None`: pending.
    pub applied_at: Option<Timestamp>,
}

/// Applies what is pending, and brings the built-in permissions and roles up to date. Answers with
/// the names of those applied.
///
/// # Errors
/// [`StoreError::Incompatible`] when one fails (the schema is as it was before it), when one that
/// was applied has changed since, or when the schema is newer than this version knows.
pub async fn up(url: &StoreUrl) -> Result<Vec<String>, StoreError> {
    match url {
        StoreUrl::Postgres(url) => postgres::migrate::up(url, postgres::MIGRATIONS).await,
        StoreUrl::Sqlite(path) => {
            let path = path.clone();
            blocking(move || sqlite::migrate::up(&path, sqlite::MIGRATIONS)).await
        }
    }
}

/// Undoes the newest one, and answers with its name; `None` when there is none.
///
/// # Errors
/// As for [`up`].
pub async fn down(url: &StoreUrl) -> Result<Option<String>, StoreError> {
    match url {
        StoreUrl::Postgres(url) => postgres::migrate::down(url, postgres::MIGRATIONS).await,
        StoreUrl::Sqlite(path) => {
            let path = path.clone();
            blocking(move || sqlite::migrate::down(&path, sqlite::MIGRATIONS)).await
        }
    }
}

/// All that this version knows, oldest first. Changes nothing.
///
/// # Errors
/// As for [`up`].
pub async fn status(url: &StoreUrl) -> Result<Vec<MigrationStatus>, StoreError> {
    match url {
        StoreUrl::Postgres(url) => postgres::migrate::status(url, postgres::MIGRATIONS).await,
        StoreUrl::Sqlite(path) => {
            let path = path.clone();
            blocking(move || sqlite::migrate::status(&path, sqlite::MIGRATIONS)).await
        }
    }
}

/// SQLite's calls block; they get a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(StoreError::Incompatible("the migration panicked".into())))
}

impl Migration {
    /// `0001_core`
    pub(super) fn full_name(&self) -> String {
        format!("{:04}_{}", self.version, self.name)
    }

    /// Of the way up, in hex: an applied migration must not change afterwards.
    pub(super) fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.up.as_bytes()))
    }

    /// What to say when statement number `n` (from 1) failed.
    pub(super) fn failed(&self, n: usize, statement: &str, cause: &str) -> StoreError {
        let name = self.full_name();
        let line = first_line(statement);
        StoreError::Incompatible(format!(
            "migration {name} failed at statement {n} (`{line}`): {cause}; \
             the schema is as it was before {name}"
        ))
    }
}

/// The next migration to apply, after it was checked that those applied are ours.
pub(super) fn next<'a>(
    known: &'a [Migration],
    applied: &[Applied],
) -> Result<Option<&'a Migration>, StoreError> {
    compare(known, applied)?;
    Ok(known.get(applied.len()))
}

/// The newest migration applied, which is the one to undo.
pub(super) fn newest<'a>(
    known: &'a [Migration],
    applied: &[Applied],
) -> Result<Option<&'a Migration>, StoreError> {
    compare(known, applied)?;
    Ok(applied.len().checked_sub(1).and_then(|last| known.get(last)))
}

pub(super) fn report(
    known: &[Migration],
    applied: &[Applied],
) -> Result<Vec<MigrationStatus>, StoreError> {
    compare(known, applied)?;
    let applied_at = |n: usize| applied.get(n).map(|applied| applied.at);
    let line = |(n, migration): (usize, &Migration)| MigrationStatus {
        name: migration.full_name(),
        applied_at: applied_at(n),
    };
    Ok(known.iter().enumerate().map(line).collect())
}

/// Refuses a schema that is not a prefix of what we know.
fn compare(known: &[Migration], applied: &[Applied]) -> Result<(), StoreError> {
    let newest_known = known.last().map_or(0, |migration| migration.version);
    if let Some(newer) = applied.iter().find(|applied| applied.version > newest_known) {
        return Err(StoreError::Incompatible(format!(
            "the schema is at version {}, this gatepost knows up to {newest_known}: \
             use a newer gatepost",
            newer.version
        )));
    }
    for (migration, applied) in known.iter().zip(applied) {
        if migration.version != applied.version || migration.checksum() != applied.checksum {
            return Err(StoreError::Incompatible(format!(
                "migration {} is not the one that was applied at {}",
                migration.full_name(),
                applied.at
            )));
        }
    }
    Ok(())
}

/// A statement ends at a line that ends with a semicolon. Comments alone are none.
pub(super) fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split_inclusive(";\n").filter(|statement| !first_line(statement).is_empty())
}

/// The first line that is not a comment.
fn first_line(statement: &str) -> &str {
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("--");
    statement.lines().map(str::trim).find(is_code).unwrap_or("")
}

/// Thirty-two random bytes from the operating system, for the instance's id key.
pub(super) fn random_id_key() -> Result<[u8; 32], StoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|_| StoreError::Unavailable("the operating system has no randomness".into()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Migration] = &[
        Migration { version: 1, name: "one", up: "CREATE TABLE a (b int);\n", down: "" },
        Migration { version: 2, name: "two", up: "CREATE TABLE c (d int);\n", down: "" },
    ];

    fn applied(migration: &Migration) -> Applied {
        let checksum = migration.checksum();
        Applied { version: migration.version, checksum, at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn the_next_one_follows_those_applied() {
        let next = next(KNOWN, &[applied(&KNOWN[0])]).unwrap();
        assert_eq!(next.map(|migration| migration.version), Some(2));
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let newer = Applied { version: 3, ..applied(&KNOWN[1]) };
        let error = next(KNOWN, &[applied(&KNOWN[0]), applied(&KNOWN[1]), newer]).unwrap_err();
        assert!(error.to_string().contains("version 3"), "{error}");
    }

    #[test]
    fn a_changed_migration_is_reported_by_name() {
        let changed = Applied { checksum: "00".into(), ..applied(&KNOWN[0]) };
        let error = next(KNOWN, &[changed]).unwrap_err();
        assert!(error.to_string().contains("0001_one"), "{error}");
    }

    #[test]
    fn statements_are_counted_without_comments() {
        let sql =
            "-- why\n\nCREATE TABLE a (\n    b int -- c; d\n);\n-- end\nDROP TABLE a;\n-- x\n";
        let first_lines: Vec<_> = statements(sql).map(first_line).collect();
        assert_eq!(first_lines, ["CREATE TABLE a (", "DROP TABLE a;"]);
    }

    /// A checkout with other line ends must not look like a changed migration.
    #[test]
    fn both_dialects_have_the_same_numbers_and_plain_line_ends() {
        let numbers = |known: &[Migration]| known.iter().map(|m| m.version).collect::<Vec<_>>();
        assert_eq!(numbers(postgres::MIGRATIONS), numbers(sqlite::MIGRATIONS));
        assert!(numbers(postgres::MIGRATIONS).is_sorted_by(|one, next| one < next));
        for migration in postgres::MIGRATIONS.iter().chain(sqlite::MIGRATIONS) {
            assert!(!migration.up.contains('\r') && !migration.down.contains('\r'));
        }
    }
}
