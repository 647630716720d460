use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Stand, on_both_stores};

on_both_stores!(what_a_key_has_not_needed_is_told);

async fn what_a_key_has_not_needed_is_told(stand: &mut Stand) {
    let gateway = &stand.gateway;
    let key = gateway.key(&["orders:read", "orders:delete", "users:*"]).await;
    let path = format!("/api/v1/admin/api-keys/{}/unused-permissions", key.id);
    let fresh = gateway.administer(Method::GET, &path, None).await;
    assert_eq!(fresh["unused"], json!(["orders:read", "orders:delete", "users:*"]));

    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK);
    assert_eq!(
        gateway.manage(Method::GET, "/api/v1/admin/users", &key, None).await.0,
        StatusCode::OK
    );
    // Usage arrives a moment later.
    let deadline = Instant::now() + Duration::from_secs(15);
    let told = loop {
        let told = gateway.administer(Method::GET, &format!("{path}?days=1"), None).await;
        if told["needed"] == json!(["orders:read", "users:read"]) || Instant::now() > deadline {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(told["unused"], json!(["orders:delete"]), "{told}");
    assert_eq!(told["unknown_routes"], json!([]));

    let (status, _) =
        gateway.manage(Method::GET, &format!("{path}?days=0"), gateway.admin(), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}
