use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::gateway::{Gateway, Key, Plan, code};
use crate::support::postgres::TestDatabase;

const ORDERS: &str = "/api/v1/orders";

#[tokio::test]
async fn a_revocation_is_effective_when_it_is_answered() {
    let gateway = Gateway::start().await;
    for _ in 0..20 {
        let key = gateway.key(&["orders:read"]).await;
        assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK, "now it is cached");
        gateway.revoke(&key).await;
        assert_eq!(code(gateway.get(ORDERS, &key).await).await, "key_revoked");
    }
}

#[tokio::test]
async fn an_owner_revokes_their_own_key_and_nobody_elses() {
    let gateway = Gateway::start().await;
    let powers = ["api_keys:*", "orders:read"];
    let mine = gateway.key(&powers).await;
    let theirs = gateway.key(&powers).await;
    let path = format!("/api/v1/api-keys/{}", theirs.id);
    let (status, _) = gateway.manage(Method::DELETE, &path, &mine, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(gateway.status(ORDERS, &theirs).await, StatusCode::OK);

    let body = json!({"name": "another", "permissions": ["orders:read"]});
    let (status, made) = gateway.manage(Method::POST, "/api/v1/api-keys", &mine, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("/api/v1/api-keys/{}", made["id"].as_str().unwrap());
    let (status, _) = gateway.manage(Method::DELETE, &path, &mine, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
}

/// How long `node` goes on serving a key that has just been revoked elsewhere.
async fn refused_after(node: &Gateway, key: &Key) -> Duration {
    let since = Instant::now();
    while node.status(ORDERS, key).await == StatusCode::OK {
        assert!(since.elapsed() < Duration::from_secs(20), "it is never refused:\n{}", node.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(code(node.get(ORDERS, key).await).await, "key_revoked");
    since.elapsed()
}

async fn two_nodes(database: &TestDatabase) -> (Gateway, Gateway) {
    let first = Plan::new().on_postgres(&database.url()).start().await;
    let second = Plan::new().on_postgres(&database.url()).start_beside(&first).await;
    (first, second)
}

async fn cached_on_both(first: &Gateway, second: &Gateway) -> Key {
    let key = first.key(&["orders:read"]).await;
    assert_eq!(first.status(ORDERS, &key).await, StatusCode::OK);
    let since = Instant::now();
    while second.status(ORDERS, &key).await != StatusCode::OK {
        assert!(since.elapsed() < Duration::from_secs(20), "the second node never knows the key");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    key
}

#[tokio::test]
async fn a_revocation_reaches_another_node_in_under_a_second() {
    let database = TestDatabase::new().await;
    let (first, second) = two_nodes(&database).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let key = cached_on_both(&first, &second).await;
        first.revoke(&key).await;
        slowest = slowest.max(refused_after(&second, &key).await);
    }
    assert!(slowest < Duration::from_secs(1), "the promise is a second, it took {slowest:?}");
}

/// Cuts the connection on which each of the two nodes listens.
async fn cut_listeners(database: &TestDatabase) {
    let listeners = "FROM pg_stat_activity WHERE datname = current_database() \
                     AND (query LIKE 'LISTEN%' OR query LIKE 'NOTIFY gatepost_echo%')";
    let since = Instant::now();
    while database.texts(&format!("SELECT pid::text {listeners}")).len() < 2 {
        assert!(since.elapsed() < Duration::from_secs(20), "both nodes listen again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    database.execute(&format!("SELECT pg_terminate_backend(pid) {listeners}"));
}

#[tokio::test]
async fn a_revocation_reaches_another_node_when_notifications_are_lost() {
    let database = TestDatabase::new().await;
    let (first, second) = two_nodes(&database).await;
    for _ in 0..3 {
        let key = cached_on_both(&first, &second).await;
        cut_listeners(&database).await;
        first.revoke(&key).await;
        let took = refused_after(&second, &key).await;
        assert!(took < Duration::from_millis(1500), "the poll is every second, it took {took:?}");
    }
}
