//! Calendar quotas: kept in the store, used on the nodes.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::gateway::{Gateway, Key, Plan, code};
use crate::support::postgres::{Cluster, TestDatabase};

const READ: &[&str] = &["orders:read"];
const ORDERS: &str = "/api/v1/orders";
const TIERS: &str =
    "\n[tiers.small]\nquota = \"30/month\"\n[tiers.large]\nquota = \"1000/month\"\n";

async fn key_of_tier(gateway: &Gateway, tier: &str) -> Key {
    let key = gateway.key(READ).await;
    let path = format!("/api/v1/admin/users/{}", key.user_id);
    let body = json!({"subscription_tier": tier});
    gateway.administer(Method::PATCH, &path, Some(body)).await;
    key
}

/// How many of `count` requests pass, one after the other on these nodes in turn.
async fn passed(nodes: &[&Gateway], key: &Key, count: usize) -> usize {
    let mut passed = 0;
    for n in 0..count {
        let status = nodes[n % nodes.len()].status(ORDERS, key).await;
        assert!([200, 429].contains(&status.as_u16()), "{status}");
        passed += usize::from(status == StatusCode::OK);
    }
    passed
}

async fn survives_a_restart(plan: Plan) {
    let mut gateway = plan.extra(TIERS).start().await;
    let key = key_of_tier(&gateway, "small").await;
    assert_eq!(passed(&[&gateway], &key, 20).await, 20);
    assert!(gateway.terminate().await.success());
    gateway.run();
    gateway.ready().await;
    assert_eq!(passed(&[&gateway], &key, 20).await, 10, "what was leased and not used came back");
    let response = gateway.get(ORDERS, &key).await;
    let policy = response.headers()["ratelimit-policy"].to_str().expect("text");
    assert!(policy.starts_with("\"tier-quota\";q=30;w=2"), "{policy}");
    assert_eq!(code(response).await, "quota_exceeded");
}

#[tokio::test]
async fn a_quota_survives_a_restart_on_sqlite() {
    survives_a_restart(Plan::new()).await;
}

#[tokio::test]
async fn a_quota_survives_a_restart_on_postgres() {
    let database = TestDatabase::new().await;
    survives_a_restart(Plan::new().on_postgres(&database.url())).await;
}

#[tokio::test]
async fn two_nodes_share_one_quota() {
    let database = TestDatabase::new().await;
    let plan = || Plan::new().on_postgres(&database.url()).extra(TIERS);
    let first = plan().start().await;
    let key = key_of_tier(&first, "large").await;
    let second = plan().start_beside(&first).await;
    let passed = passed(&[&first, &second], &key, 1_100).await;
    // Each may sit on a lease while the other refuses; none is ever given out twice.
    assert!((980..=1_000).contains(&passed), "{passed}");
}

#[tokio::test]
async fn many_at_once_cannot_overshoot_a_quota() {
    let gateway = Plan::new().extra(TIERS).start().await;
    let key = key_of_tier(&gateway, "small").await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..120 {
        let request = gateway.request(Method::GET, ORDERS).header("x-api-key", &key.text);
        asking.spawn(async move { request.send().await.expect("an answer").status() });
    }
    let passed = asking.join_all().await.into_iter().filter(|status| status.is_success()).count();
    assert_eq!(passed, 30);
    assert_eq!(gateway.upstream.count(), 30);
}

#[tokio::test]
async fn a_keys_own_quota_holds_beside_its_owners() {
    let gateway = Plan::new().extra(TIERS).start().await;
    let key = gateway.key_with(READ, json!({"quota": "3/day"})).await;
    assert_eq!(passed(&[&gateway], &key, 6).await, 3);
    let other = gateway.key_of(key.user_id, READ, json!({"quota": "unlimited"})).await;
    assert_eq!(passed(&[&gateway], &other, 6).await, 6);
}

#[tokio::test]
async fn without_the_store_a_tenth_of_the_quota_passes_and_counts() {
    let cluster = Cluster::start("");
    cluster.execute("postgres", "CREATE DATABASE quota");
    let plan = Plan::new().on_postgres(&cluster.url("quota")).extra(TIERS);
    let gateway = plan.start().await;
    let key = key_of_tier(&gateway, "small").await;
    assert_eq!(passed(&[&gateway], &key, 10).await, 10);
    cluster.kill();
    assert_eq!(passed(&[&gateway], &key, 10).await, 3, "on credit:\n{}", gateway.log());
    cluster.restart();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut all = 13;
    while Instant::now() < deadline && all < 30 {
        all += passed(&[&gateway], &key, 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(all, 30, "{}", gateway.log());
    assert_eq!(passed(&[&gateway], &key, 10).await, 0, "what passed without the store counts");
}
