//! Migrations, on both stores: all or nothing, once, in order, and back.

use std::path::PathBuf;

use async_trait::async_trait;
use gatepost::config::StoreUrl;
use gatepost::store::migrate::{self, Migration, MigrationStatus};
use gatepost::store::{Access, StoreError, postgres, sqlite};

use crate::support::postgres::TestDatabase;

/// An empty store to migrate.
#[async_trait]
trait Empty: Send + Sync {
    fn url(&self) -> StoreUrl;
    fn known(&self) -> &'static [Migration];
    async fn up(&self, known: Vec<Migration>) -> Result<Vec<String>, StoreError>;
    async fn down(&self, known: Vec<Migration>) -> Result<Option<String>, StoreError>;
    async fn status(&self, known: Vec<Migration>) -> Result<Vec<MigrationStatus>, StoreError>;
}

struct File(tempfile::TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("gatepost.db")
    }
}

#[async_trait]
impl Empty for File {
    fn url(&self) -> StoreUrl {
        StoreUrl::Sqlite(self.path())
    }
    fn known(&self) -> &'static [Migration] {
        sqlite::MIGRATIONS
    }
    async fn up(&self, known: Vec<Migration>) -> Result<Vec<String>, StoreError> {
        sqlite::migrate::up(&self.path(), &known)
    }
    async fn down(&self, known: Vec<Migration>) -> Result<Option<String>, StoreError> {
        sqlite::migrate::down(&self.path(), &known)
    }
    async fn status(&self, known: Vec<Migration>) -> Result<Vec<MigrationStatus>, StoreError> {
        sqlite::migrate::status(&self.path(), &known)
    }
}

#[async_trait]
impl Empty for TestDatabase {
    fn url(&self) -> StoreUrl {
        StoreUrl::Postgres(self.url().into())
    }
    fn known(&self) -> &'static [Migration] {
        postgres::MIGRATIONS
    }
    async fn up(&self, known: Vec<Migration>) -> Result<Vec<String>, StoreError> {
        postgres::migrate::up(&TestDatabase::url(self), &known).await
    }
    async fn down(&self, known: Vec<Migration>) -> Result<Option<String>, StoreError> {
        postgres::migrate::down(&TestDatabase::url(self), &known).await
    }
    async fn status(&self, known: Vec<Migration>) -> Result<Vec<MigrationStatus>, StoreError> {
        postgres::migrate::status(&TestDatabase::url(self), &known).await
    }
}

/// Makes a test of each case on both.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $case() { super::$case(&super::File::new()).await; })+
        }
        mod on_postgres {
            use crate::support::postgres::TestDatabase;
            $(#[tokio::test] async fn $case() { super::$case(&TestDatabase::empty().await).await; })+
        }
    };
}

on_both!(
    up_twice_applies_once,
    down_undoes_the_newest_and_up_makes_it_again,
    a_broken_migration_leaves_the_schema_as_it_was,
    a_changed_migration_is_reported,
    a_newer_schema_is_refused,
    status_changes_nothing,
    processes_that_start_together_all_come_up,
);

/// What is known, and these after it.
fn and(known: &[Migration], up: &[&'static str]) -> Vec<Migration> {
    let mut all = known.to_vec();
    for &up in up {
        let version = all.last().map_or(0, |newest| newest.version) + 1;
        all.push(Migration { version, name: "later", up, down: "DROP TABLE later;\n" });
    }
    all
}

/// The names of those known.
fn names(known: &[Migration]) -> Vec<String> {
    known.iter().map(|known| format!("{:04}_{}", known.version, known.name)).collect()
}

/// The name of the one after them.
fn later(empty: &dyn Empty) -> String {
    names(&and(empty.known(), &[LATER])).pop().expect("there is one")
}

const LATER: &str = "CREATE TABLE later (a integer);\n";

async fn up_twice_applies_once(empty: &dyn Empty) {
    assert_eq!(migrate::up(&empty.url()).await.unwrap(), names(empty.known()));
    assert!(migrate::up(&empty.url()).await.unwrap().is_empty());
    let status = migrate::status(&empty.url()).await.unwrap();
    assert!(status.iter().all(|migration| migration.applied_at.is_some()));
}

async fn down_undoes_the_newest_and_up_makes_it_again(empty: &dyn Empty) {
    let known = and(empty.known(), &[LATER]);
    empty.up(known.clone()).await.unwrap();
    for _ in 0..2 {
        let undone = empty.down(known.clone()).await.unwrap();
        assert_eq!(undone, Some(later(empty)));
        let status = empty.status(known.clone()).await.unwrap();
        let (newest, others) = status.split_last().expect("there is one");
        assert!(others.iter().all(|other| other.applied_at.is_some()));
        assert!(newest.applied_at.is_none());
        assert_eq!(empty.up(known.clone()).await.unwrap(), [later(empty)]);
    }
    for name in names(&known).into_iter().rev() {
        assert_eq!(empty.down(known.clone()).await.unwrap(), Some(name));
    }
    assert_eq!(empty.down(known.clone()).await.unwrap(), None);
    assert_eq!(empty.up(known.clone()).await.unwrap(), names(&known), "from nothing again");
}

async fn a_broken_migration_leaves_the_schema_as_it_was(empty: &dyn Empty) {
    let broken = "-- two that work\nCREATE TABLE later (a integer);\n\nDROP TABLE user_roles;\n\n\
         INSERT INTO nowhere\nVALUES (1);\n";
    let error = empty.up(and(empty.known(), &[broken])).await.unwrap_err().to_string();
    assert!(error.contains(&later(empty)), "{error}");
    assert!(error.contains("statement 3 (`INSERT INTO nowhere`)"), "{error}");
    assert!(
        error.contains("nowhere\" does not exist") || error.contains("no such table"),
        "{error}"
    );

    // The old version goes on; and the way up is free once the migration is mended.
    let settings =
        gatepost::config::StoreSettings { url: empty.url(), migrate_on_start: false, pool: 2 };
    let store = gatepost::store::open(&settings, Access::Serving, crate::support::chain_keys())
        .await
        .unwrap();
    assert!(!store.has_admin().await.unwrap());
    drop(store);
    assert_eq!(empty.up(and(empty.known(), &[LATER])).await.unwrap(), [later(empty)]);
}

async fn a_changed_migration_is_reported(empty: &dyn Empty) {
    empty.up(and(empty.known(), &[LATER])).await.unwrap();
    let changed = and(empty.known(), &["CREATE TABLE later (b integer);\n"]);
    let error = empty.up(changed).await.unwrap_err();
    assert!(matches!(error, StoreError::Incompatible(_)));
    assert!(error.to_string().contains(&later(empty)), "{error}");
}

async fn a_newer_schema_is_refused(empty: &dyn Empty) {
    empty.up(and(empty.known(), &[LATER])).await.unwrap();
    for error in [
        migrate::up(&empty.url()).await.unwrap_err(),
        migrate::down(&empty.url()).await.unwrap_err(),
        migrate::status(&empty.url()).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Incompatible(_)));
        assert!(error.to_string().contains("use a newer gatepost"), "{error}");
    }
}

async fn status_changes_nothing(empty: &dyn Empty) {
    for _ in 0..2 {
        let status = migrate::status(&empty.url()).await.unwrap();
        assert!(status.iter().all(|migration| migration.applied_at.is_none()));
    }
}

async fn processes_that_start_together_all_come_up(empty: &dyn Empty) {
    let ups: Vec<_> = (0..4)
        .map(|_| {
            let url = empty.url();
            tokio::spawn(async move { migrate::up(&url).await })
        })
        .collect();
    let mut applied = Vec::new();
    for up in ups {
        applied.extend(up.await.unwrap().unwrap());
    }
    applied.sort();
    assert_eq!(applied, names(empty.known()), "all succeed, one of them did it");
}

#[test]
fn every_column_has_a_comment() {
    for migration in postgres::MIGRATIONS {
        has_comments(migration.up);
    }
}

fn has_comments(sql: &str) {
    let mut table = "";
    for line in sql.lines() {
        if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
            table = rest.trim_end_matches(" (");
        }
        let column = line.strip_prefix("    ").and_then(|line| line.split_once(' '));
        let Some((column, _)) = column else { continue };
        if column.starts_with(|first: char| first.is_ascii_lowercase()) {
            let comment = format!("COMMENT ON COLUMN {table}.{column} IS '");
            assert!(sql.contains(&comment), "{table}.{column}");
        }
    }
}
