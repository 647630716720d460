//! What the management API tells of usage, on both stores.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::books::{Books, on_both_stores};
use crate::support::gateway::{Gateway, Key};

on_both_stores!(
    Books::shared().await;
    analytics_tell_who_what_and_how_fast,
    own_usage_is_ones_own,
    records_are_paged_and_filtered,
    exports_hold_every_record,
    any_range_and_step_has_an_answer,
    an_export_of_any_size_takes_bounded_memory,
);

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

async fn analytics_tell_who_what_and_how_fast(books: Books) {
    let gateway = books.plan().start().await;
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

async fn own_usage_is_ones_own(books: Books) {
    let gateway = books.plan().start().await;
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

async fn records_are_paged_and_filtered(books: Books) {
    let gateway = books.plan().start().await;
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

async fn exports_hold_every_record(books: Books) {
    let gateway = books.plan().start().await;
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

async fn any_range_and_step_has_an_answer(books: Books) {
    let gateway = books.plan().start().await;
    let key = used(&gateway).await;
    let base = format!("/api/v1/admin/analytics?key_id={}", key.id);
    let of = async |more: &str| {
        let (status, answer) =
            gateway.manage(Method::GET, &format!("{base}{more}"), gateway.admin(), None).await;
        (status.as_u16(), answer["totals"]["requests"].clone(), answer)
    };
    for (range, requests) in [
        ("&from=0000-01-01T00:00:00Z&to=9999-12-30T21:59:59Z", 4),
        ("&from=0000-01-01T00:00:00Z&to=9999-12-30T21:59:59Z&step=3650000d&by=user", 4),
        ("&from=9998-01-01T00:00:00Z&to=9999-12-30T21:59:59Z", 0),
        ("&from=1970-01-01T00:00:00Z&to=1970-01-01T00:00:01Z&step=1min", 0),
        // What is told in any zone is one instant, and a part of a minute is the whole of it.
        ("&from=2026-01-01T01:00:30%2B01:00&to=9000-01-01T00:00:00-05:00", 4),
    ] {
        let (status, told, answer) = of(range).await;
        assert_eq!((status, told), (200, requests.into()), "{range}: {answer}");
    }
    let (_, _, answer) = of("&from=2026-01-01T01:00:30%2B01:00&to=2026-01-01T00:01:59Z").await;
    assert_eq!(answer["from"], "2026-01-01T00:00:00Z");
    assert_eq!(answer["to"], "2026-01-01T00:02:00Z");
    for wrong in [
        "&from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "&from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "&from=9999-12-30T21:59:59Z",
        "&from=-009999-01-02T00:00:00Z",
        "&from=yesterday",
        "&from=2026-01-01",
        "&step=0min",
        "&step=1s",
        "&step=-1h",
        "&step=99999999999999999999d",
        "&step=1min&from=2025-01-01T00:00:00Z",
        "&by=weather",
        "&by=",
        "&outcome=allow&outcome=allow",
    ] {
        let (status, _, answer) = of(wrong).await;
        assert_eq!(status, 400, "{wrong}: {answer}");
    }
}

/// Resident memory of a process, in bytes.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

async fn an_export_of_any_size_takes_bounded_memory(books: Books) {
    const ROWS: usize = 40_000;
    let gateway = books.plan().start().await;
    books.texts(
        &gateway,
        &format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS})
             INSERT INTO api_usage (endpoint, method, status_code, created_at, request_id, node,
                                    outcome, gateway_time_us, request_bytes, response_bytes,
                                    client_ip)
             SELECT {} FROM n RETURNING method",
            books.row("n")
        ),
    );
    export_all(&gateway).await;
    // Pools and caches have what they need now.
    let before = resident(gateway.pid());
    let (lines, bytes, most) = export_all(&gateway).await;
    assert!(lines >= ROWS, "{lines}");
    let grown = most.saturating_sub(before);
    // An allocator gives back when it likes; what is held whole would be all of it, and more.
    assert!(bytes > 80_000_000 && grown < bytes / 2, "{grown} for {bytes}");
}

/// Its lines and bytes, and the most memory that the gateway had meanwhile.
async fn export_all(gateway: &Gateway) -> (usize, u64, u64) {
    let url = format!("http://{}/api/v1/admin/logs/export?kind=usage", gateway.management);
    let request = gateway.client.get(url).header("x-api-key", &gateway.admin().text);
    let mut answer = request.send().await.expect("it answers");
    let (mut lines, mut bytes, mut most) = (0, 0, 0);
    while let Some(chunk) = answer.chunk().await.expect("it goes on to its end") {
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
        bytes += chunk.len() as u64;
        most = most.max(resident(gateway.pid()));
    }
    (lines, bytes, most)
}
