use http::Method;

use super::{guess, plan, stranger};
use crate::support::gateway::Gateway;

const LOADS: &str = "gatepost_store_query_duration_seconds_count{op=\"load\"}";

async fn flood(gateway: &Gateway, keys: impl Iterator<Item = String>) {
    for (n, key) in keys.enumerate() {
        let address = format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255);
        let request = gateway.request(Method::GET, "/api/v1/orders").header("x-api-key", key);
        let answer = request.header("x-forwarded-for", address).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
}

#[tokio::test]
async fn random_well_formed_keys_reach_no_store() {
    let gateway = plan().start().await;
    let before = gateway.metric(LOADS).await;
    assert!(before > 0.0, "the metric counts loads");
    flood(&gateway, (0..2_000).map(stranger)).await;
    assert_eq!(gateway.metric(LOADS).await, before);
}

#[tokio::test]
async fn wrong_secrets_for_a_known_id_reach_no_store() {
    let gateway = plan().start().await;
    let key = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status("/api/v1/orders", &key).await, 200);
    let before = gateway.metric(LOADS).await;
    flood(&gateway, (0..2_000).map(|n| guess(&key, n))).await;
    assert_eq!(gateway.metric(LOADS).await, before);
    assert_eq!(gateway.status("/api/v1/orders", &key).await, 200, "the owner is untouched");
}
