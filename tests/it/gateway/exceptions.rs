//! Routes that take what is refused everywhere else.

use crate::support::gateway::{Gateway, Plan};

const ROUTES: &str = r#"
[[routes]]
name = "project"
path = "/projects/{id}"
require = []
allow_encoded_slash = true
upstream = "sample"

[[routes]]
name = "project-settings"
path = "/projects/{id}/settings"
require = ["admin"]
upstream = "sample"

[[routes]]
name = "seat"
path = "/seats/{seat}"
require = []
allow_semicolon = true
upstream = "sample"

[[routes]]
name = "seat-map"
path = "/seats/map"
require = ["admin"]
upstream = "sample"
"#;

async fn answer(gateway: &Gateway, key: &str, target: &str) -> (u16, Option<String>) {
    let before = gateway.upstream.count();
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n");
    let answer = gateway.raw(head.as_bytes()).await;
    let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
    let arrived = (gateway.upstream.count() > before).then(|| gateway.upstream.last().target);
    (status, arrived)
}

#[tokio::test]
async fn an_exception_holds_on_its_route_alone() {
    let gateway = Plan::new().and_routes(ROUTES).start().await;
    let key = gateway.key(&["orders:read"]).await.text;
    for target in ["/projects/group%2Fname", "/projects/a%2fb%2fc?x=y", "/seats/7;row=b;class=2"] {
        let passed = (200, Some(target.to_owned()));
        assert_eq!(answer(&gateway, &key, target).await, passed, "as it was written");
    }
    for target in [
        // Another exception than the route's, or another route.
        "/projects/a;b",
        "/seats/a%2fb",
        "/api/v1/orders/a%2fb",
        "/api/v1/orders/a;b",
        "/files/a%2fb",
        "/files/a;b",
        "/nowhere/a%2fb",
        // What would be refused behind the exception.
        "/projects/..%2fadmin",
        "/projects/a%2f..%2f..%2fadmin",
        "/projects/a%2f%2fb",
        "/projects/a%2f",
        "/projects/a%5cb",
        "/projects/a%252fb",
        "/seats/..;/map",
        "/seats/;x",
        "/seats/7%3bx",
    ] {
        assert_eq!(answer(&gateway, &key, target).await, (400, None), "{target}");
    }
}

#[tokio::test]
async fn an_exception_is_no_way_to_another_route() {
    let gateway = Plan::new().and_routes(ROUTES).start().await;
    let key = gateway.key(&["orders:read"]).await.text;
    for target in
        ["/projects/7%2fsettings", "/projects/7%2FSettings", "/seats/map;x", "/seats/MAP;x=y"]
    {
        assert_eq!(answer(&gateway, &key, target).await, (400, None), "{target}");
    }
}
