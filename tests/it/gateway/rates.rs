//! Rates: of tiers, keys and routes.

use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::support::gateway::{Gateway, Key, Plan, code};
use crate::support::postgres::TestDatabase;

pub const READ: &[&str] = &["orders:read"];
pub const ORDERS: &str = "/api/v1/orders";

/// So slow that nothing comes back while a test runs.
pub const TIERS: &str = "
[tiers.small]
rate = \"5/d\"
[tiers.large]
rate = \"40/d\"
";

pub fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub async fn set_tier(gateway: &Gateway, user: Uuid, tier: Option<&str>) {
    let path = format!("/api/v1/admin/users/{user}");
    let body = json!({"subscription_tier": tier});
    gateway.administer(Method::PATCH, &path, Some(body)).await;
}

pub async fn key_of_tier(gateway: &Gateway, tier: &str) -> Key {
    let key = gateway.key(READ).await;
    set_tier(gateway, key.user_id, Some(tier)).await;
    key
}

/// How many of `count` requests pass, all sent at once to these nodes in turn.
pub async fn passed(nodes: &[&Gateway], key: &Key, count: usize) -> usize {
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..count {
        let request = nodes[n % nodes.len()].request(Method::GET, ORDERS);
        let request = request.header("x-api-key", &key.text);
        asking.spawn(async move { request.send().await.expect("an answer").status() });
    }
    let statuses = asking.join_all().await;
    assert!(statuses.iter().all(|status| [200, 429].contains(&status.as_u16())), "{statuses:?}");
    statuses.into_iter().filter(|status| *status == StatusCode::OK).count()
}

#[tokio::test]
async fn a_tier_is_one_pool_over_all_keys_of_a_user() {
    let gateway = Plan::new().extra(TIERS).start().await;
    let one = key_of_tier(&gateway, "small").await;
    let other = gateway.key_of(one.user_id, READ, json!({})).await;
    for key in [&one, &other, &one, &other, &one] {
        assert_eq!(gateway.status(ORDERS, key).await, StatusCode::OK);
    }
    for key in [&one, &other] {
        let response = gateway.get(ORDERS, key).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(code(response).await, "rate_limited");
    }
    assert_eq!(gateway.upstream.count(), 5);
    let stranger = key_of_tier(&gateway, "small").await;
    assert_eq!(gateway.status(ORDERS, &stranger).await, StatusCode::OK);
}

#[tokio::test]
async fn the_headers_tell_the_tightest_limit_and_when_to_come_back() {
    let gateway = Plan::new().extra(TIERS).start().await;
    let key = gateway.key_with(READ, json!({"rate": "2/d", "quota": "1000/day"})).await;
    set_tier(&gateway, key.user_id, Some("large")).await;

    let response = gateway.get("/api/v1/orders/limited", &key).await;
    assert_eq!(header(&response, "ratelimit-policy"), "\"key-rate\";q=2;w=86400");
    assert_eq!(header(&response, "ratelimit"), "\"key-rate\";r=1;t=43200");
    assert!(response.headers().get("x-ratelimit-limit").is_none(), "the upstream's own are gone");

    gateway.get(ORDERS, &key).await;
    let response = gateway.get(ORDERS, &key).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(header(&response, "ratelimit").starts_with("\"key-rate\";r=0;t=864"), "{response:?}");
    let wait: u64 = header(&response, "retry-after").parse().expect("seconds");
    assert!((43_200 - 60..=43_200).contains(&wait), "{wait}");
    let body: serde_json::Value = response.json().await.expect("a problem");
    assert_eq!(body["retry_after"], wait);
}

#[tokio::test]
async fn the_management_listener_tells_its_callers_where_they_stand() {
    let gateway = Plan::new().extra(TIERS).start().await;
    let key = key_of_tier(&gateway, "small").await;
    let profile = async || {
        let url = format!("http://{}/api/v1/profile", gateway.management);
        let request = gateway.client.get(url).header("x-api-key", &key.text);
        request.send().await.expect("it answers")
    };
    for left in ["4", "3"] {
        let response = profile().await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "ratelimit-policy"), "\"tier-rate\";q=5;w=86400");
        let limit = header(&response, "ratelimit");
        assert!(limit.starts_with(&format!("\"tier-rate\";r={left};t=")), "{limit}");
    }
    // Through the proxy it is one request, charged once.
    let response = gateway.get("/api/v1/profile", &key).await;
    assert!(header(&response, "ratelimit").starts_with("\"tier-rate\";r=2;"), "{response:?}");
    assert_eq!(response.headers().get_all("ratelimit").iter().count(), 1);
    for left in ["1", "0"] {
        let response = profile().await;
        assert!(header(&response, "ratelimit").contains(&format!("r={left};")), "{response:?}");
    }
    let refused = profile().await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(header(&refused, "ratelimit").starts_with("\"tier-rate\";r=0;"), "{refused:?}");
    assert!(refused.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_burst_above_the_rate_is_told_as_what_it_is() {
    let tiers = "\n[tiers.bursty]\nrate = \"10/d\"\nburst = 30\n";
    let gateway = Plan::new().extra(tiers).start().await;
    let key = key_of_tier(&gateway, "bursty").await;
    let response = gateway.get(ORDERS, &key).await;
    assert_eq!(header(&response, "ratelimit-policy"), "\"tier-rate\";q=30;w=259200");
    assert_eq!(header(&response, "ratelimit"), "\"tier-rate\";r=29;t=8640");
    assert_eq!(passed(&[&gateway], &key, 40).await, 29);
}

#[tokio::test]
async fn without_a_limit_nothing_is_said_and_the_upstream_may_speak() {
    let gateway = Plan::new().extra(TIERS).start().await;
    let key = gateway.key(READ).await;
    let response = gateway.get("/api/v1/orders/limited", &key).await;
    assert_eq!(header(&response, "x-ratelimit-limit"), "7");
    assert_eq!(header(&response, "ratelimit"), "\"own\";r=7");
}

#[tokio::test]
async fn a_refused_request_charges_no_other_limit() {
    let gateway = Plan::new().extra(TIERS).start().await;
    let key = gateway.key_with(READ, json!({"rate": "1/d"})).await;
    set_tier(&gateway, key.user_id, Some("small")).await;
    let other = gateway.key_of(key.user_id, READ, json!({})).await;
    gateway.get(ORDERS, &key).await;
    for _ in 0..10 {
        assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::TOO_MANY_REQUESTS);
        let response = gateway.send(Method::DELETE, "/api/v1/orders/1", &other).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "refused before it is charged");
    }
    let response = gateway.get(ORDERS, &other).await;
    assert!(header(&response, "ratelimit").starts_with("\"tier-rate\";r=3;"), "{response:?}");
}

#[tokio::test]
async fn many_at_once_cannot_overshoot() {
    let gateway = Plan::new().extra(TIERS).start().await;
    let key = key_of_tier(&gateway, "large").await;
    assert_eq!(passed(&[&gateway], &key, 200).await, 40);
}

#[tokio::test]
async fn a_public_route_is_limited_for_each_client() {
    let route = "[[routes]]\nname = \"open\"\npath = \"/open\"\npublic = true\nupstream = \
                 \"sample\"\nrate = \"2/d\"\n";
    let plan = Plan::new().extra("trusted_proxies = [\"127.0.0.0/8\"]\n").and_routes(route);
    let gateway = plan.start().await;
    let ask = async |client: &str| {
        let request = gateway.request(Method::GET, "/open").header("x-forwarded-for", client);
        request.send().await.expect("an answer").status().as_u16()
    };
    for (client, expected) in [
        ("192.0.2.1", 200),
        ("192.0.2.1", 200),
        ("192.0.2.1", 429),
        ("192.0.2.2", 200),
        ("2001:db8::1", 200),
        ("2001:db8::2", 200),
        ("2001:db8::3", 429),
        ("2001:db8:0:1::1", 200),
    ] {
        assert_eq!(ask(client).await, expected, "{client}");
    }
}

#[tokio::test]
async fn a_route_is_limited_for_each_key() {
    let routes = "[[routes]]\nname = \"slow\"\npath = \"/slow\"\nrequire = []\nupstream = \
                  \"sample\"\nrate = \"1/d\"\n";
    let gateway = Plan::new().and_routes(routes).start().await;
    let (one, other) = (gateway.key(READ).await, gateway.key(READ).await);
    assert_eq!(gateway.status("/slow", &one).await, StatusCode::OK);
    assert_eq!(gateway.status("/slow", &one).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(gateway.status("/slow", &other).await, StatusCode::OK);
    assert_eq!(gateway.status(ORDERS, &one).await, StatusCode::OK, "other routes are free");
}

#[tokio::test]
async fn a_raised_limit_counts_at_once_and_a_change_of_the_key_resets_nothing() {
    let gateway = Plan::new().extra(TIERS).start().await;
    let key = key_of_tier(&gateway, "small").await;
    assert_eq!(passed(&[&gateway], &key, 10).await, 5);
    let rename = Some(json!({"display_name": "another"}));
    let path = format!("/api/v1/admin/users/{}", key.user_id);
    gateway.administer(Method::PATCH, &path, rename).await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::TOO_MANY_REQUESTS);
    set_tier(&gateway, key.user_id, Some("large")).await;
    assert_eq!(passed(&[&gateway], &key, 60).await, 35, "five of the forty are used");
    set_tier(&gateway, key.user_id, None).await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK, "no tier is no limit");
}

#[tokio::test]
async fn what_was_used_stays_used_when_the_file_is_read_again() {
    let gateway = Plan::new().extra(TIERS).start().await;
    let small = key_of_tier(&gateway, "small").await;
    let large = key_of_tier(&gateway, "large").await;
    assert_eq!(passed(&[&gateway], &small, 8).await, 5);
    assert_eq!(passed(&[&gateway], &large, 60).await, 40);
    let before = gateway.metric("gatepost_config_loads_total").await;
    gateway.configure(&gateway.configuration().replace("\"5/d\"", "\"9/d\""));
    let since = Instant::now();
    while gateway.metric("gatepost_config_loads_total").await <= before {
        assert!(since.elapsed() < Duration::from_secs(20), "it is never read");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(passed(&[&gateway], &small, 20).await, 4, "the raised limit counts at once");
    assert_eq!(passed(&[&gateway], &large, 20).await, 0, "the other one goes on as it was");
}

#[tokio::test]
async fn a_tier_that_is_gone_falls_to_the_default_with_a_warning() {
    let database = TestDatabase::new().await;
    let plan = || Plan::new().on_postgres(&database.url());
    let first = plan().extra(TIERS).start().await;
    let key = key_of_tier(&first, "large").await;
    let without = "\n[tiers.small]\nrate = \"5/d\"\n";
    let second = plan().extra(without).start_beside(&first).await;
    assert_eq!(passed(&[&second], &key, 20).await, 5);
    second.says("a tier that is not configured").await;
}
