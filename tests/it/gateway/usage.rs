use std::time::Duration;

use reqwest::{Method, StatusCode};

use crate::support::gateway::Plan;
use crate::support::postgres::TestDatabase;

#[tokio::test]
async fn every_request_has_its_record() {
    let database = TestDatabase::new().await;
    let mut gateway = Plan::new().on_postgres(&database.url()).start().await;
    let key = gateway.key(&["orders:read"]).await;
    gateway.get("/api/v1/orders?secret=in-the-query", &key).await;
    gateway.get("/files/teapot", &key).await;
    gateway.send(Method::DELETE, "/api/v1/orders/7", &key).await;
    gateway.get("/nowhere", &key).await;
    gateway.request(Method::GET, "/api/v1/orders").send().await.unwrap();
    gateway.request(Method::GET, "/health").send().await.unwrap();
    gateway.raw(b"GET /files/../x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    gateway.get("/api/v1/profile", &key).await;
    assert!(gateway.terminate().await.success(), "{}", gateway.log());

    let rows = database.texts(
        "SELECT concat_ws(' ', coalesce(route, '-'), method, endpoint, status_code, outcome, \
             (user_id IS NOT NULL)::text, client_ip) FROM api_usage \
             WHERE endpoint NOT LIKE '/api/v1/admin/%' ORDER BY created_at",
    );
    let expected = [
        "orders GET /api/v1/orders 200 allow true",
        "files GET /files/teapot 418 allow true",
        "order-delete DELETE /api/v1/orders/7 403 insufficient_permissions true",
        "- GET /nowhere 404 no_route false",
        "orders GET /api/v1/orders 401 missing_key false",
        "health GET /health 200 allow false",
        "- GET /files/../x 400 invalid_request false",
        "profile GET /api/v1/profile 200 allow true",
    ];
    for wanted in expected {
        assert_eq!(
            rows.iter().filter(|row| row.starts_with(wanted)).count(),
            1,
            "{wanted} in {rows:#?}"
        );
    }
    let used = database.texts(&format!(
        "SELECT (last_used_at IS NOT NULL)::text FROM api_keys WHERE id = '{}'",
        key.id
    ));
    assert_eq!(used, ["true"], "last_used_at comes out of the usage pipeline");
}

#[tokio::test]
async fn a_failing_upstream_is_told_apart_and_recorded() {
    let database = TestDatabase::new().await;
    let routes = "\n[upstreams.gone]\nservers = [\"127.0.0.1:1\"]\n\n[upstreams.mute]\nservers = \
                  [\"${MUTE}\"]\ntimeouts = { read = \"300ms\" }\n\n[[routes]]\nname = \"gone\"\npath \
                  = \"/gone\"\npublic = true\nupstream = \"gone\"\n\n[[routes]]\nname = \"mute\"\npath \
                  = \"/mute\"\npublic = true\nupstream = \"mute\"\n";
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut gateway = Plan::new()
        .on_postgres(&database.url())
        .and_routes(routes)
        .env("MUTE", &mute.local_addr().unwrap().to_string())
        .start()
        .await;
    let gone = gateway.request(Method::GET, "/gone").send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(gone.headers()["content-type"], "application/problem+json");
    let mute = gateway.request(Method::GET, "/mute").send().await.unwrap();
    assert_eq!(mute.status(), StatusCode::GATEWAY_TIMEOUT);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(gateway.terminate().await.success());
    let rows = database
        .texts("SELECT concat_ws(' ', route, status_code, outcome) FROM api_usage WHERE route IN ('gone', 'mute') ORDER BY route");
    assert_eq!(rows, ["gone 502 upstream_unreachable", "mute 504 upstream_timeout"]);
}
