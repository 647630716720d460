use reqwest::{Method, StatusCode};

use crate::support::gateway::{Gateway, Plan, ROUTES};

const FORGED: &str = "forged-by-the-client";

#[tokio::test]
async fn the_upstream_learns_who_is_calling_and_never_the_key() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    gateway.get("/api/v1/orders?page=2", &key).await;
    let arrived = gateway.upstream.last();
    assert_eq!(arrived.header("x-gatepost-user-id"), Some(&*key.user_id.to_string()));
    assert_eq!(arrived.header("x-gatepost-key-id"), Some(&*key.id.to_string()));
    assert_eq!(arrived.header("x-api-key"), None);
    assert_eq!(arrived.target, "/api/v1/orders?page=2");
    assert!(arrived.header("x-request-id").is_some());
    assert!(arrived.header("traceparent").is_some());
    assert_eq!(arrived.header("x-forwarded-for"), Some("127.0.0.1"));
    let everything = format!("{arrived:?}");
    assert!(!everything.contains(&key.text), "the key reached the upstream");
}

#[tokio::test]
async fn identity_in_any_spelling_is_removed() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    for name in [
        "X-Gatepost-User-Id",
        "x-gatepost-user-id",
        "X_Gatepost_User_Id",
        "X.Gatepost.User.Id",
        "X-Gatepost_User-Id",
        "X-Gatepost-Anything",
        "X_GATEPOST_TIER",
    ] {
        let request = gateway.request(Method::GET, "/api/v1/orders");
        let request = request.header("x-api-key", &key.text).header(name, FORGED);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK, "{name}");
        let arrived = gateway.upstream.last();
        assert!(!format!("{arrived:?}").contains(FORGED), "{name} came through");
        assert_eq!(arrived.header("x-gatepost-user-id"), Some(&*key.user_id.to_string()));
    }
}

#[tokio::test]
async fn forwarding_and_override_headers_of_strangers_are_removed() {
    let gateway = Gateway::start().await;
    for name in [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "X_Original_URL",
        "Forwarded",
        "X-Forwarded-Host",
        "X-Forwarded-Prefix",
        "X-Real-IP",
        "True-Client-IP",
        "X_Real_IP",
        "X-Forwarded-User",
    ] {
        let request = gateway.request(Method::GET, "/health").header(name, FORGED);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK, "{name}");
        let arrived = gateway.upstream.last();
        assert!(!format!("{arrived:?}").contains(FORGED), "{name} came through");
    }
}

#[tokio::test]
async fn other_headers_pass_as_they_are() {
    let gateway = Gateway::start().await;
    for name in ["X-Custom", "x_custom_too", "Accept-Language", "If-None-Match"] {
        let request = gateway.request(Method::GET, "/health").header(name, "kept");
        request.send().await.unwrap();
        assert_eq!(gateway.upstream.last().header(name), Some("kept"), "{name}");
    }
}

#[tokio::test]
async fn connection_cannot_take_our_headers_away() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    let answer = gateway
        .raw(
            format!(
                "GET /api/v1/orders HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nConnection: close, \
                 X-Gatepost-User-Id, X-Gatepost-Key-Id, X-Request-Id\r\n\r\n",
                key.text
            )
            .as_bytes(),
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let arrived = gateway.upstream.last();
    assert_eq!(arrived.header("x-gatepost-user-id"), Some(&*key.user_id.to_string()));
    assert_eq!(arrived.header("x-gatepost-key-id"), Some(&*key.id.to_string()));
    assert!(arrived.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_a_stranger_is_not() {
    let stranger = Gateway::start().await;
    let request = stranger.request(Method::GET, "/health").header("x-forwarded-for", "203.0.113.9");
    request.send().await.unwrap();
    assert_eq!(stranger.upstream.last().header("x-forwarded-for"), Some("127.0.0.1"));

    let trusting = Plan::new().extra("trusted_proxies = [\"127.0.0.0/8\"]").start().await;
    let request = trusting.request(Method::GET, "/health").header("x-forwarded-for", "203.0.113.9");
    request.send().await.unwrap();
    assert_eq!(trusting.upstream.last().header("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
}

#[tokio::test]
async fn a_key_in_the_query_is_taken_out_and_nothing_else() {
    let gateway =
        Plan::new().extra("key_sources = [\"header:X-API-Key\", \"query:api_key\"]").start().await;
    let key = gateway.key(&["orders:read"]).await;
    let path = format!("/api/v1/orders?a=1&api_key={}&b=%20x", key.text);
    let response = gateway.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(gateway.upstream.last().target, "/api/v1/orders?a=1&b=%20x");
}

#[tokio::test]
async fn a_route_may_forward_the_key() {
    let route = "\n[[routes]]\nname = \"legacy\"\npath = \"/legacy\"\nrequire = []\nforward_key = \
                 true\nupstream = \"sample\"\n";
    let gateway = Plan::new().routes(ROUTES).and_routes(route).start().await;
    let key = gateway.key(&[]).await;
    assert_eq!(gateway.status("/legacy", &key).await, StatusCode::OK);
    assert_eq!(gateway.upstream.last().header("x-api-key"), Some(&*key.text));
}

#[tokio::test]
async fn the_upstream_cannot_speak_for_the_gateway() {
    let gateway = Gateway::start().await;
    let response = gateway.request(Method::GET, "/health").send().await.unwrap();
    assert!(response.headers().contains_key("x-request-id"));
    assert!(!response.headers().keys().any(|name| name.as_str().starts_with("x-gatepost")));
}
