use std::time::Duration;

use http::Method;

use super::requests::index_of;
use super::{Metrics, Observation};
use crate::decision::{Denial, Outcome};

fn seen<'a>(route: &'a str, method: &'a Method, status: u16) -> Observation<'a> {
    Observation {
        route,
        method,
        status,
        outcome: Outcome::Allow,
        waived: false,
        total: Duration::from_micros(900),
        upstream: Some(Duration::from_micros(880)),
    }
}

fn has(metrics: &Metrics, line: &str) -> bool {
    metrics.render().lines().any(|l| l == line)
}

#[test]
fn every_family_is_there_at_zero_from_the_start() {
    let metrics = Metrics::new(&["orders"]);
    let text = metrics.render();
    for line in [
        r#"gatepost_requests_total{method="GET",route="orders",status="200"} 0"#,
        r#"gatepost_decisions_total{outcome="key_revoked"} 0"#,
        r#"gatepost_decisions_total{outcome="upstream_timeout"} 0"#,
        r#"gatepost_key_cache_requests_total{result="not_ours"} 0"#,
        r#"gatepost_usage_dropped_total{reason="shutdown"} 0"#,
        r#"gatepost_store_query_duration_seconds_count{op="load"} 0"#,
        r#"gatepost_rejected_heads_total{reason="too_slow"} 0"#,
        "gatepost_request_duration_seconds_count 0",
        "gatepost_upstream_duration_seconds_count 0",
        "gatepost_overhead_seconds_count 0",
        "gatepost_requests_in_flight 0",
        "gatepost_usage_records_total 0",
        "gatepost_usage_queue_records 0",
        "gatepost_store_up 0",
    ] {
        assert!(text.lines().any(|l| l == line), "no line `{line}` in\n{text}");
    }
    for family in ["gatepost_change_feed_lag_seconds ", "gatepost_build_info{", "process_"] {
        assert!(text.lines().any(|l| l.starts_with(family)), "no {family}");
    }
}

#[test]
fn a_request_is_counted_under_its_route_method_and_status() {
    let metrics = Metrics::new(&["orders"]);
    metrics.observe(&seen("orders", &Method::DELETE, 204));
    metrics.observe(&seen("orders", &Method::DELETE, 204));
    assert!(has(
        &metrics,
        r#"gatepost_requests_total{method="DELETE",route="orders",status="204"} 2"#
    ));
    assert!(has(&metrics, r#"gatepost_decisions_total{outcome="allow"} 2"#));
}

#[test]
fn overhead_is_what_the_upstream_did_not_take() {
    let metrics = Metrics::new(&["orders"]);
    metrics.observe(&seen("orders", &Method::GET, 200));
    assert!(has(&metrics, r#"gatepost_overhead_seconds_bucket{le="0.00001"} 0"#));
    assert!(has(&metrics, r#"gatepost_overhead_seconds_bucket{le="0.000025"} 1"#));
    assert!(has(&metrics, r#"gatepost_upstream_duration_seconds_bucket{le="0.001"} 1"#));
}

#[test]
fn neither_clients_nor_upstreams_can_make_series_without_end() {
    let metrics = Metrics::new(&["orders"]);
    for n in 0..200_u16 {
        let method = Method::from_bytes(format!("M{n}").as_bytes()).expect("a method");
        metrics.observe(&seen(&format!("route-{n}"), &method, 800 + n));
        metrics.observe(&seen("none", &method, 520 + n % 80));
    }
    let text = metrics.render();
    let made = text.lines().filter(|l| l.starts_with("gatepost_requests_total{")).count();
    assert_eq!(made, 5, "three made at the start, and two for the rest:\n{text}");
    assert!(has(
        &metrics,
        r#"gatepost_requests_total{method="other",route="other",status="other"} 200"#
    ));
    assert!(has(
        &metrics,
        r#"gatepost_requests_total{method="other",route="none",status="5xx"} 200"#
    ));
}

#[test]
fn every_outcome_has_a_counter_of_its_own() {
    for (index, outcome) in Outcome::all().enumerate() {
        assert_eq!(index_of(outcome), index, "{outcome:?}");
    }
    let metrics = Metrics::new(&[]);
    let denied = Outcome::Deny(Denial::RateLimited);
    metrics.observe(&Observation { outcome: denied, ..seen("none", &Method::GET, 429) });
    assert!(has(&metrics, r#"gatepost_decisions_total{outcome="rate_limited"} 1"#));
}
