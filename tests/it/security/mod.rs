//! Attackers, owners and neighbours, through the real program.

mod events;
mod flood;
mod lockouts;
mod nodes;
mod patterns;

use std::time::{Duration, Instant};

use http::Method;
use reqwest::Response;
use serde_json::Value;

use crate::support::forge::sealed;
use crate::support::gateway::{Gateway, Key, Plan};

/// Addresses are what `X-Forwarded-For` says, so that one test can come from many.
fn plan() -> Plan {
    Plan::new().extra("trusted_proxies = [\"127.0.0.1/32\"]\n")
}

async fn from(gateway: &Gateway, address: &str, path: &str, key: &str) -> Response {
    let request = gateway.request(Method::GET, path).header("x-forwarded-for", address);
    request.header("x-api-key", key).send().await.expect("the proxy answers")
}

async fn status(gateway: &Gateway, address: &str, path: &str, key: &str) -> u16 {
    from(gateway, address, path, key).await.status().as_u16()
}

/// The key with another secret: the same id, a right checksum.
fn guess(key: &Key, n: usize) -> String {
    sealed(&format!("gp_live_{}_{n:043}", key.lookup_id))
}

/// A key of nobody's: well formed, with a right checksum, and an id that was never minted.
fn stranger(n: usize) -> String {
    sealed(&format!("gp_live_{n:016}_{n:043}"))
}

/// So many routes that a key without `secrets:read` may not use.
fn many_routes(count: usize) -> String {
    let route = |n| {
        format!(
            "\n[[routes]]\nname = \"secret-{n}\"\npath = \"/secret/{n}\"\nrequire = \
             [\"secrets:read\"]\nupstream = \"sample\"\n"
        )
    };
    (0..count).map(route).collect()
}

/// Asks until `is_so`, for some seconds.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn events(gateway: &Gateway, kind: &str) -> Vec<Value> {
    let path = format!("/api/v1/admin/logs?kind=security&event={kind}");
    let page = gateway.administer(Method::GET, &path, None).await;
    page["data"].as_array().expect("a list").clone()
}
