//! Scripts of other origins.

use http::{Method, StatusCode};
use reqwest::Response;

use crate::support::gateway::{Gateway, Plan, code};

const OURS: &str = "https://app.example.com";

const ROUTES: &str = r#"
[[routes]]
name = "notes"
path = "/notes/{id}"
methods = ["GET", "PUT"]
require = ["notes:read"]
cors = { origins = ["https://app.example.com", "http://localhost:5173"], headers = ["X-API-Key", "Content-Type"], max_age = "1h", credentials = true }
upstream = "sample"

[[routes]]
name = "open"
path = "/open"
require = []
cors = { origins = ["*"] }
upstream = "sample"
"#;

async fn gateway() -> Gateway {
    Plan::new().and_routes(ROUTES).start().await
}

async fn ask(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = gateway.request(Method::OPTIONS, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

#[tokio::test]
async fn a_preflight_is_answered_here_and_needs_no_key() {
    let gateway = gateway().await;
    let asked = [("origin", OURS), ("access-control-request-method", "PUT")];
    let answer = ask(&gateway, "/notes/7", &asked).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    for (name, value) in [
        ("access-control-allow-origin", OURS),
        ("access-control-allow-methods", "GET, HEAD, PUT"),
        ("access-control-allow-headers", "x-api-key, content-type"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "3600"),
        ("vary", "Origin"),
    ] {
        assert_eq!(header(&answer, name), Some(value), "{name}");
    }
    assert!(header(&answer, "x-request-id").is_some());

    let asked = [("origin", "https://any.example"), ("access-control-request-method", "POST")];
    let answer = ask(&gateway, "/open", &asked).await;
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
    assert_eq!(header(&answer, "access-control-allow-methods"), Some("POST"));
    assert_eq!(header(&answer, "access-control-allow-credentials"), None);
    assert_eq!(gateway.upstream.count(), 0, "the upstream hears nothing of it");
}

#[tokio::test]
async fn a_stranger_origin_is_told_nothing() {
    let gateway = gateway().await;
    for origin in ["https://evil.example", "https://app.example.com.evil.example", "null"] {
        let asked = [("origin", origin), ("access-control-request-method", "GET")];
        let answer = ask(&gateway, "/notes/7", &asked).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        let told = answer.headers().keys().any(|name| name.as_str().starts_with("access-control"));
        assert!(!told, "{origin}: {:?}", answer.headers());
    }
}

#[tokio::test]
async fn without_both_headers_options_is_a_method_like_any_other() {
    let gateway = gateway().await;
    let whole = [("origin", OURS), ("access-control-request-method", "GET")];
    assert_eq!(ask(&gateway, "/notes/7", &whole[..1]).await.status(), 405);
    assert_eq!(ask(&gateway, "/notes/7", &whole[1..]).await.status(), 405);
    assert_eq!(ask(&gateway, "/open", &[]).await.status(), 401);
    // No rules for it, no method of the route, no method at all, no route.
    assert_eq!(ask(&gateway, "/api/v1/orders", &whole).await.status(), 405);
    for (path, method, status) in
        [("/notes/7", "DELETE", 405), ("/notes/7", "TRACE", 405), ("/nowhere", "GET", 404)]
    {
        let asked = [("origin", OURS), ("access-control-request-method", method)];
        assert_eq!(ask(&gateway, path, &asked).await.status(), status, "{path} {method}");
    }
    let smuggled = [whole[0], whole[1], ("upgrade", "h2c"), ("expect", "200-ok")];
    assert_eq!(ask(&gateway, "/notes/7", &smuggled).await.status(), 400);
    assert_eq!(gateway.upstream.count(), 0);
}

#[tokio::test]
async fn scripts_may_read_answers_and_refusals() {
    let gateway = gateway().await;
    let key = gateway.key(&["notes:read"]).await;
    for (text, origin, status, allowed) in [
        (&*key.text, OURS, 200, Some(OURS)),
        ("wrong", OURS, 401, Some(OURS)),
        (&*key.text, "https://evil.example", 200, None),
    ] {
        let request = gateway.request(Method::GET, "/notes/7").header("x-api-key", text);
        let answer = request.header("origin", origin).send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(header(&answer, "access-control-allow-origin"), allowed);
        assert_eq!(header(&answer, "vary"), Some("Origin"));
    }
    let request = gateway.request(Method::GET, "/notes/7").header("origin", OURS);
    assert_eq!(code(request.send().await.unwrap()).await, "missing_key");
}
