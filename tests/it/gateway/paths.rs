use reqwest::StatusCode;

use crate::support::gateway::{Gateway, Plan};

/// Targets that two parsers could read two ways: refused, and never a byte to the upstream.
const HOSTILE: &[&str] = &[
    "//api/v1/orders",
    "/api//v1/orders",
    "/api/v1/../v1/orders",
    "/api/v1/./orders",
    "/files/../api/v1/orders",
    "/files/%2e%2e/api/v1/orders",
    "/files/%2E%2E/api",
    "/files/a%2fb",
    "/files/a%5cb",
    "/files/a%00b",
    "/files/a%0ab",
    "/files/a%7fb",
    "/files/a%25b",
    "/files/a%3bb",
    "/files/a%3fb",
    "/files/a%23b",
    "/files/a\\b",
    "/files/a;b",
    "/files/a#b",
    "/files/%61",
    "/files/%",
    "/files/%4",
    "/files/%zz",
    "/files/%c0%af",
    "/files/%ff",
    "/files/%ef%bc%8f",
    "/files/%ef%bc%8e%ef%bc%8e/x",
    "/files/a<b",
    "/files/a|b",
    "/api/v1/Orders",
    "/API/v1/orders/7",
    "http://a/api/v1/orders",
    "api/v1/orders",
    "*",
];

#[tokio::test]
async fn ambiguous_targets_are_refused_with_the_best_of_keys() {
    let gateway = Gateway::start().await;
    let key = gateway.admin().text.clone();
    for target in HOSTILE {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"
        );
        let answer = gateway.raw(request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or("closed");
        assert!(status.starts_with('4') || status == "closed", "{target}: {answer}");
    }
    assert_eq!(gateway.upstream.count(), 0, "{:?}", gateway.upstream.seen());
}

#[tokio::test]
async fn a_catch_all_does_not_serve_what_a_lenient_upstream_reads_as_another_route() {
    let routes = r#"
[[routes]]
name = "admin"
path = "/admin"
require = ["admin"]
upstream = "sample"

[[routes]]
name = "rest"
path = "/{*rest}"
require = []
upstream = "sample"
"#;
    let gateway = Plan::new().routes(&(routes.to_owned() + PROFILE)).start().await;
    let key = gateway.key(&[]).await;
    assert_eq!(gateway.status("/anything/else", &key).await, StatusCode::OK);
    for path in ["/Admin", "/ADMIN", "/admin/", "/Admin/"] {
        assert_eq!(gateway.status(path, &key).await, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(gateway.status("/admin", &key).await, StatusCode::FORBIDDEN);
    assert_eq!(gateway.upstream.count(), 1);
}

const PROFILE: &str = r#"
[[routes]]
name = "profile"
path = "/api/v1/profile"
methods = ["GET"]
require = []
upstream = "management"
"#;

#[tokio::test]
async fn what_was_judged_arrives_byte_for_byte() {
    let gateway = Gateway::start().await;
    for target in [
        "/files/a",
        "/files/a/b/c",
        "/files/caf%C3%A9",
        "/files/a%20b",
        "/files/~tilde!$&'()*+,=:@",
        "/files/a?x=1&y=a%2fb&z=..%2f",
        "/files/a?",
        "/files/a?q=%zz",
    ] {
        let key = &gateway.admin().text;
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"
        );
        let answer = gateway.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{target}: {answer}");
        assert_eq!(gateway.upstream.last().target, *target);
    }
}
