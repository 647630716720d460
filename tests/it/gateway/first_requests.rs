use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::gateway::{Gateway, Plan, code};
use crate::support::postgres::TestDatabase;

/// The five lines of the README, on one store.
async fn the_five_lines(gateway: &Gateway) {
    let anonymous = gateway.request(Method::GET, "/api/v1/orders").send().await.unwrap();
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(code(anonymous).await, "missing_key");

    let wrong = gateway.request(Method::GET, "/api/v1/orders").header("x-api-key", "wrong");
    let wrong = wrong.send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(code(wrong).await, "invalid_key");
    assert_eq!(gateway.upstream.count(), 0, "nothing was forwarded");

    let reader = gateway.key(&["orders:read"]).await;
    let read = gateway.get("/api/v1/orders", &reader).await;
    assert_eq!(read.status(), StatusCode::OK);
    assert_eq!(read.text().await.unwrap(), "the upstream's answer");

    let denied = gateway.send(Method::DELETE, "/api/v1/orders/7", &reader).await;
    assert_eq!(denied.status(), StatusCode::FORBIDDEN);
    let problem: Value = denied.json().await.unwrap();
    assert_eq!(problem["code"], "insufficient_permissions");
    assert_eq!(problem["required"], serde_json::json!(["orders:delete"]));
    assert_eq!(gateway.upstream.count(), 1, "only the reading was forwarded");

    let deleted = gateway.send(Method::DELETE, "/api/v1/orders/7", gateway.admin()).await;
    assert_eq!(deleted.status(), StatusCode::OK);
    assert_eq!(gateway.upstream.last().method, Method::DELETE);
    assert!(reader.text.contains(&reader.lookup_id), "the public part of a key is part of it");
}

#[tokio::test]
async fn the_five_lines_on_sqlite() {
    the_five_lines(&Gateway::start().await).await;
}

#[tokio::test]
async fn the_five_lines_on_postgres() {
    let database = TestDatabase::new().await;
    the_five_lines(&Plan::new().on_postgres(&database.url()).start().await).await;
}

#[tokio::test]
async fn a_refusal_says_what_and_where_and_how() {
    let gateway = Gateway::start().await;
    let refused = gateway.request(Method::GET, "/api/v1/orders").send().await.unwrap();
    let headers = refused.headers().clone();
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["cache-control"], "no-store");
    let challenges: Vec<_> =
        headers.get_all("www-authenticate").iter().map(|v| v.to_str().unwrap()).collect();
    let challenges = challenges.join(", ");
    assert!(challenges.contains("ApiKey realm="), "{challenges}");
    assert!(challenges.contains("Bearer realm="), "{challenges}");
    assert!(!challenges.contains("error="), "nothing was sent: {challenges}");
    let request_id = headers["x-request-id"].to_str().unwrap().to_owned();
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["status"], 401);
    assert_eq!(problem["request_id"], request_id.as_str());
    for member in ["type", "title", "detail"] {
        assert!(problem[member].is_string(), "{problem}");
    }
}

#[tokio::test]
async fn what_is_not_on_the_map_is_not_there() {
    let gateway = Gateway::start().await;
    let key = gateway.admin();
    assert_eq!(code(gateway.get("/nowhere", key).await).await, "no_route");
    assert_eq!(code(gateway.get("/api/v1/orders/", key).await).await, "no_route");
    let wrong_method = gateway.send(Method::PATCH, "/api/v1/orders", key).await;
    assert_eq!(wrong_method.status(), StatusCode::METHOD_NOT_ALLOWED);
    let allow = wrong_method.headers()["allow"].to_str().unwrap().to_owned();
    for method in ["GET", "HEAD", "POST"] {
        assert!(allow.contains(method), "{allow}");
    }
    assert_eq!(gateway.upstream.count(), 0);
}

#[tokio::test]
async fn a_public_route_needs_no_key_and_gets_no_identity() {
    let gateway = Gateway::start().await;
    let request = gateway.request(Method::GET, "/health").header("x-api-key", "gp_whatever");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    let arrived = gateway.upstream.last();
    assert_eq!(arrived.header("x-api-key"), None);
    assert_eq!(arrived.header("x-gatepost-user-id"), None);
}

#[tokio::test]
async fn a_key_may_come_as_bearer_too() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    let request = gateway.request(Method::GET, "/api/v1/orders").bearer_auth(&key.text);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(gateway.upstream.last().header("authorization"), None);
}

#[tokio::test]
async fn two_keys_are_ambiguous_and_a_bad_first_is_not_rescued() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    let both = gateway
        .request(Method::GET, "/api/v1/orders")
        .header("x-api-key", &key.text)
        .bearer_auth(&key.text);
    assert_eq!(code(both.send().await.unwrap()).await, "ambiguous_credentials");
    let twice = gateway
        .request(Method::GET, "/api/v1/orders")
        .header("x-api-key", &key.text)
        .header("x-api-key", &key.text);
    assert_eq!(code(twice.send().await.unwrap()).await, "ambiguous_credentials");
    let basic = gateway
        .request(Method::GET, "/api/v1/orders")
        .header("x-api-key", &key.text)
        .header("authorization", "Basic dXNlcjpwYXNz");
    assert_eq!(basic.send().await.unwrap().status(), StatusCode::OK);
    let arrived = gateway.upstream.last();
    assert_eq!(arrived.header("authorization"), Some("Basic dXNlcjpwYXNz"), "it is not ours");
}

#[tokio::test]
async fn management_is_reached_through_the_proxy_with_its_admission() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    let profile = gateway.get("/api/v1/profile", &key).await;
    assert_eq!(profile.status(), StatusCode::OK);
    let profile: Value = profile.json().await.unwrap();
    assert!(profile.to_string().contains(&key.user_id.to_string()), "{profile}");
    assert_eq!(gateway.upstream.count(), 0);
}

#[tokio::test]
async fn two_nodes_start_on_an_empty_database() {
    let database = TestDatabase::empty().await;
    let plan = || Plan::new().on_postgres(&database.url());
    let (mut first, mut second) = tokio::join!(plan().spawn(), plan().spawn());
    tokio::join!(first.ready(), second.ready());
}
