use http::Method;

use super::{guess, plan, stranger};
use crate::support::gateway::{Gateway, Key};

const NOT_OURS: &str = "gatepost_key_cache_requests_total{result=\"not_ours\"}";
const LOADS: &str = "gatepost_store_query_duration_seconds_count{op=\"load\"}";

/// Each from an address of its own, with a good request now and then.
async fn flood(gateway: &Gateway, good: &Key, keys: impl Iterator<Item = String>) {
    for (n, key) in keys.enumerate() {
        if n % 50 == 0 {
            assert_eq!(gateway.status("/api/v1/orders", good).await, 200, "after {n}");
        }
        let address = format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255);
        let request = gateway.request(Method::GET, "/api/v1/orders").header("x-api-key", key);
        let answer = request.header("x-forwarded-for", address).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
}

#[tokio::test]
async fn random_well_formed_keys_reach_no_store() {
    let gateway = plan().start().await;
    let key = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status("/api/v1/orders", &key).await, 200);
    let before = gateway.metric(LOADS).await;
    assert!(before > 0.0, "the metric counts loads");
    let not_ours = gateway.metric(NOT_OURS).await;
    flood(&gateway, &key, (0..2_000).map(stranger)).await;
    assert_eq!(gateway.metric(LOADS).await, before);
    assert_eq!(gateway.metric(NOT_OURS).await, not_ours + 2_000.0);
}

#[tokio::test]
async fn wrong_secrets_for_a_known_id_reach_no_store() {
    let gateway = plan().start().await;
    let key = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status("/api/v1/orders", &key).await, 200);
    let before = gateway.metric(LOADS).await;
    flood(&gateway, &key, (0..2_000).map(|n| guess(&key, n))).await;
    assert_eq!(gateway.metric(LOADS).await, before);
    assert_eq!(gateway.status("/api/v1/orders", &key).await, 200, "the owner is untouched");
}
