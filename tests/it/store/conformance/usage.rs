use gatepost::decision::Outcome;
use gatepost::store::{UsageBatch, UsageRecord};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Backend, a_key};

fn record(key_id: Option<Uuid>, at: &str) -> UsageRecord {
    UsageRecord {
        at: at.parse().expect("a time"),
        request_id: Uuid::now_v7(),
        node: "node-1".into(),
        user_id: None,
        key_id,
        route: Some("orders-read".into()),
        method: "GET".into(),
        path: "/api/v1/orders/7".into(),
        status: 200,
        outcome: Outcome::Allow,
        gateway_time_us: 42,
        upstream_time_us: Some(1_700),
        request_bytes: 0,
        response_bytes: 5_000_000_000,
        client_ip: "192.0.2.7".parse().expect("an address"),
    }
}

fn batch(records: Vec<UsageRecord>) -> UsageBatch {
    UsageBatch { id: Uuid::now_v7(), records }
}

const NOON: &str = "2026-11-05T12:00:00.123456Z";

pub async fn usage_batch_twice_counts_once(backend: &dyn Backend) {
    let store = backend.store();
    let one = batch(vec![record(None, NOON), record(None, NOON)]);
    for _ in 0..3 {
        store.record_usage(&one).await.unwrap();
    }
    assert_eq!(store.usage_count().await.unwrap(), 2);
    store.record_usage(&batch(vec![record(None, NOON)])).await.unwrap();
    store.record_usage(&batch(Vec::new())).await.unwrap();
    assert_eq!(store.usage_count().await.unwrap(), 3);
}

pub async fn batches_from_many_nodes_all_count(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await.id;
    let nodes: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let records = vec![record(Some(key), NOON); 100];
                    store.record_usage(&batch(records)).await.expect("recorded");
                }
            })
        })
        .collect();
    for node in nodes {
        node.await.unwrap();
    }
    assert_eq!(store.usage_count().await.unwrap(), 2_000);
}

pub async fn usage_notes_the_last_use(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await.id;
    let newest = store.newest_change().await.unwrap();
    let records = ["2026-11-05T12:00:00Z", NOON, "2026-11-05T11:00:00Z"];
    let records = records.iter().map(|at| record(Some(key), at)).collect();
    store.record_usage(&batch(records)).await.unwrap();
    let late = vec![record(Some(key), "2026-11-05T09:00:00Z"), record(Some(Uuid::now_v7()), NOON)];
    store.record_usage(&batch(late)).await.unwrap();

    let last_used_at = store.key(key).await.unwrap().unwrap().last_used_at;
    assert_eq!(last_used_at, Some(NOON.parse::<Timestamp>().unwrap()));
    assert_eq!(store.newest_change().await.unwrap(), newest, "that is no change to follow");
}

pub async fn usage_keeps_what_it_was_given(backend: &dyn Backend) {
    let store = backend.store();
    let mut long = record(None, NOON);
    long.path = format!("/{}", "ü".repeat(1_023)).into();
    long.route = None;
    long.upstream_time_us = None;
    long.client_ip = "2001:db8::1".parse().unwrap();
    store.record_usage(&batch(vec![long.clone(), record(None, NOON)])).await.unwrap();

    let rows = backend.texts("SELECT endpoint FROM api_usage ORDER BY id").await;
    assert_eq!(rows, [&*long.path, "/api/v1/orders/7"]);
    let sql = "SELECT method || ' ' || status_code || ' ' || outcome || ' ' || response_bytes
                 FROM api_usage ORDER BY id DESC LIMIT 1";
    assert_eq!(backend.texts(sql).await, ["GET 200 allow 5000000000"]);
}
