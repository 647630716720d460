//! What the management API tells of usage, on both stores.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::gateway::{Gateway, Key, Plan};
use crate::support::postgres::TestDatabase;

/// A key that was used four times: twice well, twice refused.
async fn used(gateway: &Gateway) -> Key {
    let key = gateway.key(&["orders:read"]).await;
    for path in ["/api/v1/orders", "/api/v1/orders", "/api/v1/orders/7?secret=1"] {
        gateway.get(path, &key).await;
    }
    gateway.send(Method::DELETE, "/api/v1/orders/7", &key).await;
    let path = format!("/api/v1/admin/analytics?key_id={}", key.id);
    let deadline = Instant::now() + Duration::from_secs(20);
    while gateway.administer(Method::GET, &path, None).await["totals"]["requests"] != 4 {
        assert!(Instant::now() < deadline, "the records do not arrive:\n{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    key
}

async fn analytics_tell_who_what_and_how_fast(gateway: Gateway) {
    let key = used(&gateway).await;
    let path = format!("/api/v1/admin/analytics?user_id={}&by=outcome&step=1h", key.user_id);
    let answer = gateway.administer(Method::GET, &path, None).await;
    let groups = answer["groups"].as_array().expect("groups");
    let of = |name: &str| groups.iter().find(|group| group["outcome"] == name).expect("a group");
    assert_eq!(of("allow")["requests"], 3);
    assert_eq!(of("insufficient_permissions")["requests"], 1);
    let latency = &answer["totals"]["latency_us"];
    let [p50, p99] = ["p50", "p99"].map(|name| latency[name].as_u64().expect("microseconds"));
    assert!(0 < p50 && p50 <= p99, "{answer}");
    let series = answer["series"].as_array().expect("a series");
    let sum: i64 = series.iter().map(|point| point["requests"].as_i64().expect("a count")).sum();
    assert_eq!(sum, 4, "{answer}");

    let later = format!("{path}&from=2030-01-01T00:00:00Z&to=2030-01-02T00:00:00Z");
    let none = gateway.administer(Method::GET, &later, None).await;
    assert_eq!(none["totals"]["requests"], 0);
    let path = "/api/v1/admin/analytics?step=1min&from=2020-01-01T00:00:00Z";
    let (status, _) = gateway.manage(Method::GET, path, gateway.admin(), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a series has a bound");
}

async fn own_usage_is_ones_own(gateway: Gateway) {
    let key = used(&gateway).await;
    let other = gateway.key(&[]).await;
    let (status, own) = gateway.manage(Method::GET, "/api/v1/usage?by=route", &key, None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(own["totals"]["requests"], 4, "{own}");
    let (_, none) = gateway.manage(Method::GET, "/api/v1/usage", &other, None).await;
    assert_eq!(none["totals"]["requests"], 0, "{none}");
    let path = format!("/api/v1/usage?user_id={}", key.user_id);
    assert_eq!(gateway.manage(Method::GET, &path, &other, None).await.0, StatusCode::NOT_FOUND);
    for path in ["analytics", "analytics/export", "logs?kind=usage", "logs/export?kind=usage"] {
        let path = format!("/api/v1/admin/{path}");
        let (status, _) = gateway.manage(Method::GET, &path, &key, None).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
}

async fn records_are_paged_and_filtered(gateway: Gateway) {
    let key = used(&gateway).await;
    let path = format!("/api/v1/admin/logs?kind=usage&key_id={}&limit=3", key.id);
    let first = gateway.administer(Method::GET, &path, None).await;
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let rest = gateway.administer(Method::GET, &format!("{path}&cursor={cursor}"), None).await;
    let rows = |page: &Value| page["data"].as_array().expect("rows").clone();
    let all = [rows(&first), rows(&rest)].concat();
    let told: Vec<_> = all.iter().map(|row| format!("{} {}", row["path"], row["status"])).collect();
    let expected = [
        "\"/api/v1/orders/7\" 403",
        "\"/api/v1/orders/7\" 200",
        "\"/api/v1/orders\" 200",
        "\"/api/v1/orders\" 200",
    ];
    assert_eq!(told, expected, "newest first, and never a query");
    let refused = gateway.administer(Method::GET, &format!("{path}&status=403"), None).await;
    assert_eq!(rows(&refused).len(), 1);
    for wrong in ["", "?kind=nonsense", "?kind=usage&sattus=403", "?kind=usage&status=x"] {
        let path = format!("/api/v1/admin/logs{wrong}");
        let (status, _) = gateway.manage(Method::GET, &path, gateway.admin(), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

async fn exports_hold_every_record(gateway: Gateway) {
    let key = used(&gateway).await;
    let export = async |path: String| {
        let (status, text) = gateway.manage(Method::GET, &path, gateway.admin(), None).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        text.as_str().expect("text").to_owned()
    };
    let logs = format!("/api/v1/admin/logs/export?kind=usage&key_id={}", key.id);
    let ndjson = export(logs.clone()).await;
    assert_eq!(ndjson.lines().count(), 4);
    assert!(ndjson.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{ndjson}");
    let csv = export(format!("{logs}&format=csv")).await;
    assert!(csv.starts_with("at,request_id,"), "{csv}");
    assert_eq!(csv.lines().count(), 5);
    let path = "/api/v1/admin/analytics/export?format=csv&key_id=";
    let counts = export(format!("{path}{}", key.id)).await;
    let requests = counts.lines().skip(1).map(|line| line.split(',').nth(7).expect("a column"));
    assert_eq!(requests.map(|count| count.parse::<u32>().expect("a number")).sum::<u32>(), 4);
}

macro_rules! on_both_stores {
    ($($story:ident),+) => {
        mod on_sqlite {
            use super::Gateway;
            $(#[tokio::test]
            async fn $story() {
                super::$story(Gateway::start().await).await;
            })+
        }
        mod on_postgres {
            use super::{Plan, TestDatabase};
            $(#[tokio::test]
            async fn $story() {
                let database = TestDatabase::new().await;
                super::$story(Plan::new().on_postgres(&database.url()).start().await).await;
            })+
        }
    };
}

on_both_stores!(
    analytics_tell_who_what_and_how_fast,
    own_usage_is_ones_own,
    records_are_paged_and_filtered,
    exports_hold_every_record
);
