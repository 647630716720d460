use std::sync::Arc;

use async_trait::async_trait;
use gatepost::store::Store;
use gatepost::store::postgres::PostgresStore;

use super::conformance::{self, Backend, Secrets};
use crate::support::chain_keys;
use crate::support::postgres::TestDatabase;

struct Database {
    database: TestDatabase,
    store: Arc<dyn Store>,
}

async fn open() -> Database {
    let database = TestDatabase::new().await;
    let store = PostgresStore::open(&database.url(), 8, chain_keys()).expect("the URL is right");
    Database { database, store: Arc::new(store) }
}

#[async_trait]
impl Backend for Database {
    fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    fn open_with(&self, secrets: Secrets) -> Arc<dyn Store> {
        let store = PostgresStore::open(&self.database.url(), 2, secrets.keys());
        Arc::new(store.expect("the URL is right"))
    }

    async fn execute(&self, sql: &str) {
        self.database.execute(sql);
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        self.database.texts(sql)
    }
}

conformance!(open);
