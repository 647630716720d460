use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use gatepost::store::sqlite::{self, SqliteStore};
use gatepost::store::{Access, Change, Store, StoreError};
use rusqlite::Connection;

use super::conformance::{self, Backend, Secrets, by_command_line, new_user};
use crate::support::chain_keys;

struct File {
    directory: tempfile::TempDir,
    store: Arc<dyn Store>,
}

async fn open() -> File {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("gatepost.db");
    sqlite::migrate::up(&path, sqlite::MIGRATIONS).expect("the migrations apply");
    let store = SqliteStore::open(&path, Access::Serving, chain_keys()).expect("it opens");
    File { directory, store: Arc::new(store) }
}

impl File {
    fn path(&self) -> PathBuf {
        self.directory.path().join("gatepost.db")
    }
}

#[async_trait]
impl Backend for File {
    fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    fn open_with(&self, secrets: Secrets) -> Arc<dyn Store> {
        let store = SqliteStore::open(&self.path(), Access::Beside, secrets.keys());
        Arc::new(store.expect("it opens beside"))
    }

    async fn execute(&self, sql: &str) {
        Connection::open(self.path()).expect("it opens").execute_batch(sql).expect("it runs");
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        let db = Connection::open(self.path()).expect("it opens");
        let mut statement = db.prepare(sql).expect("it prepares");
        let rows = statement.query_map([], |row| row.get(0)).expect("it runs");
        rows.map(|row| row.expect("a text")).collect()
    }
}

conformance!(open);

#[tokio::test]
async fn a_second_serving_process_is_refused() {
    let file = open().await;
    let error =
        SqliteStore::open(&file.path(), Access::Serving, chain_keys()).err().expect("refused");
    assert!(error.to_string().contains("another gatepost serves from"), "{error}");
}

#[tokio::test]
async fn the_place_of_the_serving_process_is_free_again_when_it_ends() {
    let File { directory, store } = open().await;
    drop(store);
    let path = directory.path().join("gatepost.db");
    assert!(SqliteStore::open(&path, Access::Serving, chain_keys()).is_ok());
}

#[tokio::test]
async fn what_the_command_line_changes_beside_it_is_in_the_feed() {
    let file = open().await;
    let before = file.store.newest_change().await.expect("a number");
    let beside =
        SqliteStore::open(&file.path(), Access::Beside, chain_keys()).expect("it opens beside");
    let user = new_user("ada@example.com");
    beside.commit(Change::CreateUser(user.clone()), &by_command_line()).await.expect("committed");
    assert_eq!(file.store.changes_after(before, 10).await.expect("the feed").len(), 1);
    assert!(file.store.user(user.id).await.expect("an answer").is_some());
}

#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    let file = open().await;
    for name in ["gatepost.db", "gatepost.db-wal", "gatepost.db-shm", "gatepost.db.lock"] {
        let metadata = std::fs::metadata(file.directory.path().join(name)).expect(name);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_missing_file_is_not_made_by_opening_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("gatepost.db");
    let error = SqliteStore::open(&path, Access::Beside, chain_keys()).err().expect("refused");
    assert!(error.to_string().contains("gatepost migrate up"), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_said_to_be_none() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("gatepost.db");
    std::fs::write(&path, vec![b'x'; 8192]).expect("garbage");
    let error = SqliteStore::open(&path, Access::Beside, chain_keys()).err().expect("refused");
    assert!(matches!(error, StoreError::Incompatible(_)), "{error}");
}
