//! New rules on live traffic, before they bite.

use http::Method;
use serde_json::Value;

use crate::support::gateway::{Gateway, Plan, code};

const ROUTES: &str = r#"
[[routes]]
name = "trial"
path = "/trial/{id}"
methods = ["GET"]
require = ["trial:read"]
max_body = "10B"
shadow = true
upstream = "sample"
"#;

/// The records of a route, once all of them are in the store.
async fn records(gateway: &Gateway, route: &str, count: usize) -> Vec<Value> {
    for _ in 0..200 {
        let path = format!("/api/v1/admin/logs?kind=usage&route={route}");
        let page = gateway.administer(Method::GET, &path, None).await;
        let records = page["data"].as_array().expect("a list").clone();
        if records.len() >= count {
            return records;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the records never came");
}

#[tokio::test]
async fn a_route_in_shadow_notes_refusals_and_lets_requests_pass() {
    let gateway = Plan::new().and_routes(ROUTES).start().await;
    let (good, weak) = (gateway.key(&["trial:read"]).await, gateway.key(&["orders:read"]).await);
    let revoked = gateway.key(&["trial:read"]).await;
    gateway.revoke(&revoked).await;
    let arrived = async |key: Option<&str>| {
        let mut request = gateway.request(Method::GET, "/trial/7");
        request = key.into_iter().fold(request, |request, key| request.header("x-api-key", key));
        assert_eq!(request.send().await.unwrap().status(), 200);
        let arrived = gateway.upstream.last();
        assert_eq!(arrived.header("x-api-key"), None, "the key stays here");
        arrived.header("x-gatepost-user-id").map(str::to_owned)
    };
    assert_eq!(arrived(Some(&good.text)).await, Some(good.user_id.to_string()));
    assert_eq!(arrived(Some(&weak.text)).await, Some(weak.user_id.to_string()), "who they are");
    assert_eq!(arrived(Some(&revoked.text)).await, None, "nobody vouches for that key");
    assert_eq!(arrived(Some("wrong")).await, None);
    assert_eq!(arrived(None).await, None);

    let mut noted: Vec<_> = records(&gateway, "trial", 5)
        .await
        .iter()
        .map(|record| (record["outcome"].as_str().unwrap().to_owned(), record["status"].clone()))
        .collect();
    noted.sort_by(|a, b| a.0.cmp(&b.0));
    let codes: Vec<_> = noted.iter().map(|(code, _)| &**code).collect();
    let expected =
        ["allow", "insufficient_permissions", "invalid_key", "key_revoked", "missing_key"];
    assert_eq!(codes, expected);
    assert!(noted.iter().all(|(_, status)| *status == 200), "{noted:?}");
    let noted = "gatepost_shadow_denials_total{outcome=\"insufficient_permissions\"}";
    assert_eq!(gateway.metric(noted).await, 1.0);
    assert_eq!(gateway.metric("gatepost_shadow_routes").await, 1.0);
    gateway.says("in shadow: refusals are noted, not enforced").await;
    let checked = gateway.command(&["check"]);
    let printed = String::from_utf8(checked.stdout).unwrap();
    assert!(printed.contains("warning: the route is in shadow"), "{printed}");
    assert!(printed.contains("SHADOW"), "{printed}");
}

#[tokio::test]
async fn what_is_not_about_access_is_refused_in_shadow_too() {
    let gateway = Plan::new().and_routes(ROUTES).start().await;
    for (request, expected) in [
        (gateway.request(Method::DELETE, "/trial/7"), "method_not_allowed"),
        (gateway.request(Method::GET, "/trial/a;b"), "invalid_request"),
        (gateway.request(Method::GET, "/trial/7").header("upgrade", "h2c"), "invalid_request"),
        (gateway.request(Method::GET, "/trial/7").body("more than ten bytes"), "body_too_large"),
        (gateway.request(Method::GET, "/elsewhere"), "no_route"),
        (gateway.request(Method::GET, "/api/v1/orders"), "missing_key"),
    ] {
        assert_eq!(code(request.send().await.unwrap()).await, expected);
    }
    assert_eq!(gateway.upstream.count(), 0);
}

#[tokio::test]
async fn nothing_in_shadow_counts_against_anybody() {
    let shadows: String = (0..25)
        .map(|n| {
            ROUTES
                .replace("\"trial\"", &format!("\"trial-{n}\""))
                .replace("/trial/", &format!("/trial-{n}/"))
        })
        .collect();
    let plan = Plan::new().and_routes(&shadows).extra("\n[lockout]\nsettle = \"0s\"\n");
    let gateway = plan.start().await;
    let key = gateway.key(&["orders:read"]).await;
    for n in 0..25 {
        assert_eq!(gateway.status(&format!("/trial-{n}/7"), &key).await, 200);
        let wrong = gateway.request(Method::GET, "/trial-0/7").header("x-api-key", "wrong");
        assert_eq!(wrong.send().await.unwrap().status(), 200);
    }
    assert_eq!(gateway.status("/api/v1/orders", &key).await, 200, "no lock");
    let wrong = gateway.request(Method::GET, "/api/v1/orders").header("x-api-key", "wrong");
    assert_eq!(wrong.send().await.unwrap().status(), 401, "no block");
}

#[tokio::test]
async fn a_whole_gateway_can_stand_in_shadow() {
    let gateway = Plan::new().extra("enforce = false\n").start().await;
    let request = gateway.request(Method::GET, "/api/v1/orders").send().await.unwrap();
    assert_eq!(request.status(), 200);
    // Its own endpoints guard themselves.
    let profile = gateway.request(Method::GET, "/api/v1/profile").send().await.unwrap();
    assert_eq!(code(profile).await, "missing_key");
}
