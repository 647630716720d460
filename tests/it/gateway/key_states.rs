use std::time::Duration;

use gatepost::clock;
use jiff::ToSpan;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::forge::sealed;
use crate::support::gateway::{Gateway, Plan, code};

const ORDERS: &str = "/api/v1/orders";

#[tokio::test]
async fn a_cached_key_dies_on_time() {
    let gateway = Gateway::start().await;
    let end = clock::now() + 2.seconds();
    let key = gateway.key_with(&["orders:read"], json!({"expires_at": end.to_string()})).await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK, "now it is cached");
    while clock::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(code(gateway.get(ORDERS, &key).await).await, "key_expired");
}

#[tokio::test]
async fn a_locked_account_is_told_so_with_the_right_key_only() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK);
    let lock = format!("/api/v1/admin/users/{}/lock", key.user_id);
    gateway.administer(Method::POST, &lock, Some(json!({"reason": "a test"}))).await;
    let locked = gateway.get(ORDERS, &key).await;
    assert_eq!(locked.status(), StatusCode::FORBIDDEN);
    assert_eq!(code(locked).await, "account_locked");
    let unlock = format!("/api/v1/admin/users/{}/unlock", key.user_id);
    gateway.administer(Method::POST, &unlock, None).await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK);
}

#[tokio::test]
async fn a_deleted_account_has_no_working_keys() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK);
    let path = format!("/api/v1/admin/users/{}", key.user_id);
    gateway.administer(Method::DELETE, &path, None).await;
    let refused = gateway.get(ORDERS, &key).await;
    assert!(!refused.status().is_success());
    let code = code(refused).await;
    assert!(["key_revoked", "account_disabled"].contains(&&*code), "{code}");
}

#[tokio::test]
async fn a_key_works_only_from_its_addresses() {
    let gateway = Gateway::start().await;
    let elsewhere = json!({"allowed_ips": ["192.0.2.0/24"]});
    let key = gateway.key_with(&["orders:read"], elsewhere).await;
    assert_eq!(code(gateway.get(ORDERS, &key).await).await, "ip_not_allowed");
    let here = gateway.key_with(&["orders:read"], json!({"allowed_ips": ["127.0.0.0/8"]})).await;
    assert_eq!(gateway.status(ORDERS, &here).await, StatusCode::OK);
}

#[tokio::test]
async fn a_route_may_take_only_some_environments() {
    let route = "\n[[routes]]\nname = \"live-only\"\npath = \"/live\"\nrequire = []\nenvironments \
                 = [\"live\"]\nupstream = \"sample\"\n";
    let gateway = Plan::new().and_routes(route).start().await;
    let test = gateway.key_with(&[], json!({"environment": "test"})).await;
    assert!(test.text.starts_with("gp_test_"), "the environment is in the key");
    assert_eq!(code(gateway.get("/live", &test).await).await, "environment_not_allowed");
    let live = gateway.key(&[]).await;
    assert_eq!(gateway.status("/live", &live).await, StatusCode::OK);
}

#[tokio::test]
async fn a_role_taken_away_narrows_every_key_at_once() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK);
    let path = format!("/api/v1/admin/users/{}", key.user_id);
    let user = gateway.administer(Method::GET, &path, None).await;
    let role = user["roles"][0].as_str().unwrap().to_owned();
    let path = format!("{path}/roles/{role}");
    gateway.administer(Method::DELETE, &path, None).await;
    assert_eq!(code(gateway.get(ORDERS, &key).await).await, "insufficient_permissions");
}

#[tokio::test]
async fn a_role_changed_changes_what_keys_may_do_at_once() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:*"]).await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK);
    let path = format!("/api/v1/admin/users/{}", key.user_id);
    let user = gateway.administer(Method::GET, &path, None).await;
    let role = format!("/api/v1/admin/roles/{}", user["roles"][0].as_str().unwrap());
    let body = json!({"permissions": ["orders:delete"]});
    gateway.administer(Method::PATCH, &role, Some(body)).await;
    assert_eq!(code(gateway.get(ORDERS, &key).await).await, "insufficient_permissions");
}

#[tokio::test]
async fn a_key_without_permissions_can_show_its_profile_and_nothing_else() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&[]).await;
    assert_eq!(gateway.status("/api/v1/profile", &key).await, StatusCode::OK);
    assert_eq!(code(gateway.get(ORDERS, &key).await).await, "insufficient_permissions");
}

#[tokio::test]
async fn a_wrong_secret_for_a_known_id_is_an_invalid_key() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    let other = gateway.key(&["orders:read"]).await;
    // The id of one, the secret of another, and the checksum over both.
    let forged = splice(&key.text, &other.text);
    let request = gateway.request(Method::GET, ORDERS).header("x-api-key", forged);
    assert_eq!(code(request.send().await.unwrap()).await, "invalid_key");
}

/// The id of `id` with the secret of `secret`, checksum made anew.
fn splice(id: &str, secret: &str) -> String {
    let (head, _) = id.rsplit_once('_').unwrap();
    let (_, tail) = secret.rsplit_once('_').unwrap();
    sealed(&format!("{head}_{}", &tail[..43]))
}
