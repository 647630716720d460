use gatepost::decision::Outcome;
use gatepost::store::{
    Dimension, Grouping, Retention, RollupFilter, UsageBatch, UsageFilter, UsageRecord,
};
use http::Method;
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
        method: Method::GET,
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

fn whole_day() -> RollupFilter {
    RollupFilter {
        from: "2026-11-05T00:00:00Z".parse().expect("a time"),
        to: "2026-11-06T00:00:00Z".parse().expect("a time"),
        user_id: None,
        key_id: None,
        route: None,
        outcome: None,
    }
}

pub async fn usage_is_counted_by_the_minute_once(backend: &dyn Backend) {
    let store = backend.store();
    let mut slow = record(None, "2026-11-05T13:00:59Z");
    slow.upstream_time_us = Some(1_000_000);
    slow.status = 502;
    slow.route = None;
    let one = batch(vec![record(None, NOON), record(None, NOON), slow]);
    for _ in 0..2 {
        store.record_usage(&one).await.unwrap();
    }
    store.record_usage(&batch(vec![record(None, NOON)])).await.unwrap();

    let sums = async |grouping| store.usage_sums(&whole_day(), grouping).await.unwrap();
    let whole = sums(Grouping::Whole).await;
    assert_eq!(whole.iter().map(|group| group.sums.requests).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(whole.iter().map(|group| group.sums.errors).sum::<i64>(), 1);
    let hours = sums(Grouping::Steps(60)).await;
    let hours: Vec<_> = hours.iter().map(|h| (h.group.as_str(), h.sums.requests)).collect();
    assert_eq!(hours, [("12", 3), ("13", 1)]);
    let top = sums(Grouping::Top(Dimension::Route, 1)).await;
    assert_eq!(top.len(), 1);
    assert_eq!((top[0].group.as_str(), top[0].sums.requests), ("orders-read", 3));

    let first = store.usage_rollups(&whole_day(), None, 1).await.unwrap();
    let rest = store.usage_rollups(&whole_day(), Some(&first[0].key), 10).await.unwrap();
    let requests = first.iter().chain(&rest).map(|rollup| rollup.sums.requests);
    assert_eq!(requests.collect::<Vec<_>>(), [3, 1]);
}

pub async fn records_are_found_newest_first(backend: &dyn Backend) {
    let store = backend.store();
    let records = (0..5).map(|n| {
        let mut one = record(None, NOON);
        one.status = 200 + n;
        one
    });
    store.record_usage(&batch(records.collect())).await.unwrap();
    let page = store.usage_records(&UsageFilter::default(), None, 3).await.unwrap();
    assert_eq!(page.rows.iter().map(|row| row.status).collect::<Vec<_>>(), [204, 203, 202]);
    let rest = store.usage_records(&UsageFilter::default(), page.next, 3).await.unwrap();
    assert_eq!(rest.rows.iter().map(|row| row.status).collect::<Vec<_>>(), [201, 200]);
    assert_eq!(rest.next, None);
    let one = UsageFilter { status: Some(203), ..UsageFilter::default() };
    let found = store.usage_records(&one, None, 3).await.unwrap();
    assert_eq!(found.rows.len(), 1);
    assert_eq!(found.rows[0].client_ip.to_string(), "192.0.2.7");
    assert_eq!(found.rows[0].at, NOON.parse::<Timestamp>().unwrap());
}

pub async fn old_usage_is_forgotten_and_counts_later(backend: &dyn Backend) {
    let store = backend.store();
    let old = record(None, "2026-10-01T12:00:00Z");
    store.record_usage(&batch(vec![old, record(None, NOON)])).await.unwrap();
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let mut retention = Retention {
        now: at(NOON),
        records_since: at("2026-11-01T00:00:00Z"),
        rollups_since: at("2026-09-01T00:00:00Z"),
    };
    assert!(!store.keep_usage(&retention).await.unwrap(), "it is done in one portion");
    assert_eq!(store.usage_count().await.unwrap(), 1);
    assert_eq!(store.usage_rollups(&whole_year(), None, 10).await.unwrap().len(), 2);
    retention.rollups_since = at("2026-11-01T00:00:00Z");
    store.keep_usage(&retention).await.unwrap();
    assert_eq!(store.usage_rollups(&whole_year(), None, 10).await.unwrap().len(), 1);
}

pub async fn misdated_usage_keeps_nothing_from_being_forgotten(backend: &dyn Backend) {
    let store = backend.store();
    // A clock was ahead for a while; what came afterwards is old by now.
    store.record_usage(&batch(vec![record(None, "2036-10-01T12:00:00Z"); 6_000])).await.unwrap();
    store.record_usage(&batch(vec![record(None, "2026-10-01T12:00:00Z"); 10])).await.unwrap();
    let now: Timestamp = NOON.parse().expect("a time");
    let since = "2026-11-01T00:00:00Z".parse().expect("a time");
    let retention = Retention { now, records_since: since, rollups_since: since };
    store.keep_usage(&retention).await.unwrap();
    assert_eq!(store.usage_count().await.unwrap(), 6_000);
}

pub async fn what_is_forgotten_goes_in_portions(backend: &dyn Backend) {
    let store = backend.store();
    let mut records = vec![record(None, "2026-10-01T12:00:00Z"); 6_000];
    for (n, record) in records.iter_mut().enumerate() {
        record.key_id = Some(Uuid::from_u128(n as u128 + 1));
    }
    store.record_usage(&batch(records)).await.unwrap();
    let now: Timestamp = NOON.parse().expect("a time");
    let retention = Retention { now, records_since: now, rollups_since: now };
    assert!(store.keep_usage(&retention).await.unwrap(), "there is more");
    while store.keep_usage(&retention).await.unwrap() {}
    assert_eq!(store.usage_count().await.unwrap(), 0);
    assert!(store.usage_rollups(&whole_year(), None, 1).await.unwrap().is_empty());
}

fn whole_year() -> RollupFilter {
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let (from, to) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    RollupFilter { from, to, ..whole_day() }
}
