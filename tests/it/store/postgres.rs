use std::sync::Arc;

use async_trait::async_trait;
use gatepost::store::postgres::PostgresStore;
use gatepost::store::{Retention, Store};

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

#[tokio::test]
async fn days_are_made_ahead_and_dropped_whole() {
    let Database { database, store } = open().await;
    let days = || {
        database.texts(
            "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
              WHERE i.inhparent = 'api_usage'::regclass ORDER BY 1",
        )
    };
    let keep = async |now: &str, records_since: &str| {
        let at = |text: &str| text.parse().expect("a time");
        let rollups_since = at("2020-01-01T00:00:00Z");
        let (now, records_since) = (at(now), at(records_since));
        let retention = Retention { now, records_since, rollups_since };
        store.keep_usage(&retention).await.expect("kept");
    };
    keep("2026-11-29T23:59:59Z", "2026-11-01T00:00:00Z").await;
    let ahead = ["2026_11_29", "2026_11_30", "2026_12_01", "2026_12_02"];
    assert_eq!(days(), ahead.map(|day| format!("api_usage_{day}")));
    // The first instant of a day is the day's own.
    for at in ["2026-11-29T23:59:59.999999Z", "2026-11-30T00:00:00Z"] {
        database.execute(&format!(
            "INSERT INTO api_usage (endpoint, method, status_code, created_at, request_id, node,
                                    outcome, gateway_time_us, request_bytes, response_bytes,
                                    client_ip)
             VALUES ('/', 'GET', 200, '{at}', gen_random_uuid(), 'n', 'allow', 1, 0, 0, '::1')"
        ));
    }
    let kept_of = |day: &str| database.texts(&format!("SELECT endpoint FROM api_usage_{day}"));
    assert_eq!((kept_of("2026_11_29").len(), kept_of("2026_11_30").len()), (1, 1));
    // A day goes when all of it is too old, and no other with it.
    keep("2026-12-29T12:00:00Z", "2026-11-29T12:00:00Z").await;
    assert_eq!(days()[0], "api_usage_2026_11_29");
    keep("2026-12-30T00:00:00Z", "2026-11-30T00:00:00Z").await;
    assert_eq!(days()[0], "api_usage_2026_11_30");
    assert_eq!(store.usage_count().await.expect("a count"), 1);
}
