//! Rates that nodes keep together in Redis.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::rates::{ORDERS, TIERS, key_of_tier, passed, set_tier};
use crate::support::gateway::Plan;
use crate::support::postgres::TestDatabase;
use crate::support::redis::Redis;

fn shared(redis: &Redis, more: &str) -> String {
    format!("{TIERS}\n[limits]\nbackend = \"{}\"\n{more}", redis.url())
}

const NODE: &str = "gatepost_limit_backend_requests_total{by=\"node\"}";

#[tokio::test]
async fn two_nodes_keep_to_one_limit_within_two_percent() {
    let (redis, database) = (Redis::start(), TestDatabase::new().await);
    let tiers = "\n[tiers.shared]\nrate = \"500/d\"\n".to_owned();
    // A busy machine must not make this a test of its scheduler.
    let extra =
        tiers + &format!("[limits]\nbackend = \"{}\"\nbackend_budget = \"5s\"\n", redis.url());
    let plan = || Plan::new().on_postgres(&database.url()).extra(&extra);
    let first = plan().start().await;
    let key = key_of_tier(&first, "shared").await;
    let second = plan().start_beside(&first).await;
    let mut all = 0;
    for _ in 0..8 {
        all += passed(&[&first, &second], &key, 100).await;
    }
    assert!((490..=510).contains(&all), "{all}");
    assert_eq!(first.metric(NODE).await + second.metric(NODE).await, 0.0);
}

#[tokio::test]
async fn without_its_backend_a_node_goes_on_alone_and_comes_back_by_itself() {
    let mut redis = Redis::start();
    let gateway = Plan::new().extra(&shared(&redis, "")).start().await;
    let key = key_of_tier(&gateway, "small").await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK);

    redis.kill();
    assert_eq!(passed(&[&gateway], &key, 10).await, 4, "it knows what was used");
    assert!(gateway.metric(NODE).await >= 1.0);

    redis.run();
    let fresh = key_of_tier(&gateway, "large").await;
    let shared = "gatepost_limit_backend_requests_total{by=\"backend\"}";
    let before = gateway.metric(shared).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while gateway.metric(shared).await == before {
        assert!(Instant::now() < deadline, "it does not come back:\n{}", gateway.log());
        gateway.status(ORDERS, &fresh).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_backend_that_lost_its_data_forgives_nothing() {
    let mut redis = Redis::start();
    let gateway = Plan::new().extra(&shared(&redis, "backend_budget = \"5s\"\n")).start().await;
    let key = key_of_tier(&gateway, "large").await;
    assert_eq!(passed(&[&gateway], &key, 30).await, 30);
    redis.kill();
    redis.run();
    let mut all = 30;
    for _ in 0..40 {
        all += passed(&[&gateway], &key, 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(all, 40, "{}", gateway.log());
}

#[tokio::test]
async fn what_was_used_stays_used_when_a_shared_rate_changes() {
    let redis = Redis::start();
    let gateway = Plan::new().extra(&shared(&redis, "backend_budget = \"5s\"\n")).start().await;
    let key = key_of_tier(&gateway, "small").await;
    assert_eq!(passed(&[&gateway], &key, 8).await, 5);
    set_tier(&gateway, key.user_id, Some("large")).await;
    assert_eq!(passed(&[&gateway], &key, 60).await, 35, "five of the forty are used");
    set_tier(&gateway, key.user_id, Some("small")).await;
    assert_eq!(passed(&[&gateway], &key, 10).await, 0);
    assert_eq!(gateway.metric(NODE).await, 0.0);
}

#[tokio::test]
async fn a_backend_that_refuses_the_password_is_named_and_missed_by_nobody() {
    let redis = Redis::with(&["--requirepass", "right"]);
    let backend = redis.url().replace("redis://", "redis://:an-open-secret@");
    let limits = format!("{TIERS}\n[limits]\nbackend = \"{backend}\"\n");
    let gateway = Plan::new().extra(&limits).start().await;
    let key = key_of_tier(&gateway, "small").await;
    assert_eq!(passed(&[&gateway], &key, 10).await, 5, "by the node's own count");
    gateway.says("the limits' backend is away").await;
    assert!(gateway.log().to_lowercase().contains("authentication"), "{}", gateway.log());
    assert!(!gateway.log().contains("an-open-secret"), "{}", gateway.log());
}

#[tokio::test]
async fn a_backend_that_hangs_delays_nobody() {
    let redis = Redis::start();
    let gateway = Plan::new().extra(&shared(&redis, "")).start().await;
    let key = key_of_tier(&gateway, "large").await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK);
    redis.pause();
    let started = Instant::now();
    assert_eq!(passed(&[&gateway], &key, 20).await, 20);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    redis.resume();
    assert!(gateway.metric(NODE).await >= 1.0);
}
