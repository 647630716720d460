//! The patterns that operators are told of, each with what it was noticed by. Two take longer than
//! a test may: many new sources of an account with a past, and sudden volume against a key's own
//! past. `src/lockout/tests.rs` tells them with the clock in hand.

use std::time::Duration;

use gatepost::clock;
use serde_json::{Value, json};

use super::{events, from, guess, many_routes, plan, status, stranger, until};
use crate::support::gateway::{Gateway, Key};

const ORDERS: &str = "/api/v1/orders";
const SOURCE: &str = "192.0.2.1";

/// The one event of its kind, from the security log.
async fn told(gateway: &Gateway, kind: &str) -> Value {
    until("it is told", async || !events(gateway, kind).await.is_empty()).await;
    let mut told = events(gateway, kind).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["kind"], kind);
    assert_eq!(told[0]["source"], SOURCE);
    told.remove(0)
}

fn is_about(event: &Value, key: &Key) {
    assert_eq!(event["user_id"], key.user_id.to_string());
    assert_eq!(event["key_id"], key.id.to_string());
}

#[tokio::test]
async fn brute_force() {
    let gateway = plan().start().await;
    let key = gateway.key(&["orders:read"]).await;
    for n in 0..10 {
        assert_eq!(status(&gateway, SOURCE, ORDERS, &guess(&key, n)).await, 401);
    }
    let event = told(&gateway, "brute_force").await;
    is_about(&event, &key);
    let evidence = &event["evidence"];
    assert_eq!((&evidence["guesses"], &evidence["window_seconds"]), (&json!(10), &json!(900)));
    assert!(evidence["locked_until"].is_string(), "{evidence}");
}

#[tokio::test]
async fn credential_stuffing() {
    let gateway = plan().start().await;
    for n in 0..8 {
        assert_eq!(status(&gateway, SOURCE, ORDERS, &stranger(n)).await, 401);
    }
    let event = told(&gateway, "credential_stuffing").await;
    assert_eq!(event["evidence"], json!({"key_ids": 8, "window_seconds": 60}));
}

#[tokio::test]
async fn permission_probing() {
    let gateway = plan().and_routes(&many_routes(10)).start().await;
    let key = gateway.key(&["orders:read"]).await;
    for n in 0..10 {
        let path = format!("/secret/{n}");
        assert_eq!(status(&gateway, SOURCE, &path, &key.text).await, 403);
    }
    let event = told(&gateway, "permission_probing").await;
    is_about(&event, &key);
    assert_eq!(event["evidence"], json!({"routes": 10, "window_seconds": 900}));
}

#[tokio::test]
async fn a_revoked_key_in_use() {
    let gateway = plan().start().await;
    let key = gateway.key(&["orders:read"]).await;
    gateway.revoke(&key).await;
    for _ in 0..3 {
        assert_eq!(status(&gateway, SOURCE, ORDERS, &key.text).await, 401);
    }
    let event = told(&gateway, "revoked_key_used").await;
    is_about(&event, &key);
    assert_eq!(event["evidence"]["route"], "orders");
    assert!(event["evidence"]["ended_at"].is_string(), "{event}");
}

#[tokio::test]
async fn an_expired_key_in_use() {
    let gateway = plan().start().await;
    let soon = clock::now() + Duration::from_secs(2);
    let key = gateway.key_with(&["orders:read"], json!({"expires_at": soon})).await;
    until("it expires", async || from(&gateway, SOURCE, ORDERS, &key.text).await.status() == 401)
        .await;
    let event = told(&gateway, "expired_key_used").await;
    is_about(&event, &key);
    assert_eq!(event["evidence"], json!({"route": "orders", "ended_at": soon.to_string()}));
}
