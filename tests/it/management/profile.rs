//! What developers see of themselves.

use reqwest::Method;
use serde_json::{Value, json};

use super::on_both_stores;
use crate::support::gateway::{Gateway, Key};

const PROFILE: &str = "/api/v1/profile";

async fn read(gateway: &Gateway, path: &str, key: &Key) -> Value {
    let (status, answer) = gateway.manage(Method::GET, path, key, None).await;
    assert!(status.is_success(), "{path}: {status}: {answer}");
    answer
}

/// By its name.
fn limit<'a>(answer: &'a Value, name: &str) -> Option<&'a Value> {
    answer["limits"].as_array().expect("limits").iter().find(|limit| limit["limit"] == name)
}

async fn a_profile_tells_what_a_key_may_do_and_how_often(gateway: &Gateway) {
    let more = json!({
        "rate": "100/min", "quota": "1000/day", "expires_at": "2099-01-01T00:00:00Z",
        "allowed_ips": ["127.0.0.0/8"],
    });
    let user = gateway.user(&["orders:read", "users:read"]).await;
    let key = gateway.key_of(user, &["orders:read"], more).await;
    for _ in 0..4 {
        gateway.get("/api/v1/orders", &key).await;
    }
    let profile = read(gateway, PROFILE, &key).await;
    assert_eq!(profile["permissions"], json!(["orders:read"]));
    assert_eq!(profile["key"]["expires_at"], "2099-01-01T00:00:00Z");
    assert_eq!(profile["key"]["allowed_ips"], json!(["127.0.0.0/8"]));
    assert_eq!(profile["user"]["subscription_tier"], Value::Null);

    let rate = limit(&profile, "key-rate").expect("a rate");
    assert_eq!((&rate["count"], &rate["window_seconds"]), (&json!(100), &json!(60)));
    // Reading it is a request too; a slow machine has some of the five back.
    let remaining = rate["remaining"].as_u64().expect("a count");
    assert!((95..100).contains(&remaining), "{rate}");
    let quota = limit(&profile, "key-quota").expect("a quota");
    assert_eq!((&quota["count"], &quota["remaining"]), (&json!(1000), &json!(995)), "{quota}");
    assert!(limit(&profile, "tier-rate").is_none(), "a user without a tier is unlimited");
    let own = read(gateway, "/api/v1/usage", &key).await;
    assert_eq!(limit(&own, "key-quota").expect("a quota")["remaining"], 994);
}

async fn a_tier_is_shared_by_all_keys_of_a_user(gateway: &Gateway) {
    let key = gateway.key(&["orders:read"]).await;
    let other = gateway.key_of(key.user_id, &["orders:read"], json!({})).await;
    let user = format!("/api/v1/admin/users/{}", key.user_id);
    let tier = json!({"subscription_tier": "tiny"});
    gateway.administer(Method::PATCH, &user, Some(tier)).await;
    let profile = read(gateway, PROFILE, &key).await;
    assert_eq!(profile["user"]["subscription_tier"], "tiny");
    assert_eq!(limit(&profile, "tier-rate").expect("a rate")["remaining"], 0);
    assert_eq!(gateway.status("/api/v1/orders", &other).await.as_u16(), 429);

    let verify = json!({"api_key": other.text});
    let verified =
        gateway.administer(Method::POST, "/api/v1/admin/api-keys/verify", Some(verify)).await;
    assert_eq!(limit(&verified, "tier-rate").expect("a rate")["remaining"], 0);
    let none = json!({"subscription_tier": null});
    gateway.administer(Method::PATCH, &user, Some(none)).await;
    assert_eq!(read(gateway, PROFILE, &key).await["limits"], json!([]));
    assert_eq!(gateway.status("/api/v1/orders", &other).await.as_u16(), 200);
}

on_both_stores!(
    a_profile_tells_what_a_key_may_do_and_how_often,
    a_tier_is_shared_by_all_keys_of_a_user,
);
