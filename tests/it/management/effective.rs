//! Every way to change what a key may do is effective when it is answered, and on another node
//! within a second, although both have the key in memory.

use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{OnPostgres, call, on_both_stores, plan};
use crate::support::gateway::{Gateway, Key};

const ORDERS: &str = "/api/v1/orders";
const ALLOWED: &str = "allow";

/// A change, and what a request with the key comes to before and after it.
struct Path {
    name: &'static str,
    before: &'static str,
    after: &'static str,
}

const PATHS: [Path; 17] = [
    path("key patched", ALLOWED, "insufficient_permissions"),
    path("key widened", "insufficient_permissions", ALLOWED),
    path("key bound to networks", ALLOWED, "ip_not_allowed"),
    path("key disabled", ALLOWED, "key_disabled"),
    path("key enabled", "key_disabled", ALLOWED),
    path("key revoked", ALLOWED, "key_revoked"),
    path("key rotated", ALLOWED, "key_revoked"),
    path("key rotated with overlap", ALLOWED, ALLOWED),
    path("key imported", "invalid_key", ALLOWED),
    path("role taken", ALLOWED, "insufficient_permissions"),
    path("role given", "insufficient_permissions", ALLOWED),
    path("role's permissions changed", ALLOWED, "insufficient_permissions"),
    path("role deleted", ALLOWED, "insufficient_permissions"),
    path("user locked", ALLOWED, "account_locked"),
    path("user unlocked", "account_locked", ALLOWED),
    path("tier changed", ALLOWED, "rate_limited"),
    path("user deleted", ALLOWED, "key_revoked"),
];

const fn path(name: &'static str, before: &'static str, after: &'static str) -> Path {
    Path { name, before, after }
}

async fn outcome(gateway: &Gateway, key: &Key) -> String {
    let response = gateway.get(ORDERS, key).await;
    if response.status().is_success() {
        return ALLOWED.to_owned();
    }
    let problem: Value = response.json().await.expect("a problem");
    problem["code"].as_str().expect("a code").to_owned()
}

/// Who a path is walked with: a key, its owner, and the owner's one role.
struct Subject {
    key: Key,
    role: String,
}

async fn subject(gateway: &Gateway, path: &Path) -> Subject {
    let key = gateway.key(&["orders:read"]).await;
    let user = format!("/api/v1/admin/users/{}", key.user_id);
    let roles = gateway.administer(Method::GET, &user, None).await["roles"].take();
    let subject = Subject { key, role: roles[0].as_str().expect("a role").to_owned() };
    prepare(gateway, path, subject).await
}

async fn prepare(gateway: &Gateway, path: &Path, mut subject: Subject) -> Subject {
    let Subject { key, role } = &mut subject;
    let user = format!("/api/v1/admin/users/{}", key.user_id);
    let own = format!("/api/v1/admin/api-keys/{}", key.id);
    match path.name {
        "key widened" => {
            let body = json!({"permissions": []});
            gateway.administer(Method::PATCH, &own, Some(body)).await;
        }
        "key enabled" => {
            gateway.administer(Method::PATCH, &own, Some(json!({"disabled": true}))).await;
        }
        "key imported" => key.text = format!("legacy-{}", Uuid::now_v7()),
        "role given" => {
            gateway.administer(Method::DELETE, &format!("{user}/roles/{role}"), None).await;
        }
        "user unlocked" => {
            gateway.administer(Method::POST, &format!("{user}/lock"), Some(json!({}))).await;
        }
        _ => {}
    }
    subject
}

async fn walk(gateway: &Gateway, path: &Path, subject: &Subject) {
    let (method, path, body) = step(path, subject);
    gateway.administer(method, &path, Some(body)).await;
}

fn step(path: &Path, Subject { key, role }: &Subject) -> (Method, String, Value) {
    let user = format!("/api/v1/admin/users/{}", key.user_id);
    let own = format!("/api/v1/admin/api-keys/{}", key.id);
    let the_role = format!("/api/v1/admin/roles/{role}");
    match path.name {
        "key patched" => (Method::PATCH, own, json!({"permissions": []})),
        "key widened" => (Method::PATCH, own, json!({"permissions": ["orders:read"]})),
        "key bound to networks" => (Method::PATCH, own, json!({"allowed_ips": ["192.0.2.0/24"]})),
        "key disabled" => (Method::PATCH, own, json!({"disabled": true})),
        "key enabled" => (Method::PATCH, own, json!({"disabled": false})),
        "key revoked" => (Method::DELETE, own, json!({})),
        "key rotated" => (Method::POST, own + "/rotate", json!({})),
        "key rotated with overlap" => (Method::POST, own + "/rotate", json!({"overlap": "1h"})),
        "key imported" => (
            Method::POST,
            "/api/v1/admin/api-keys/import".into(),
            json!({
                "user_id": key.user_id, "name": "legacy", "permissions": ["orders:read"],
                "key_hash": hex::encode(Sha256::digest(&key.text)),
            }),
        ),
        "role taken" => (Method::DELETE, format!("{user}/roles/{role}"), json!({})),
        "role given" => (Method::POST, user + "/roles", json!({"roles": [role]})),
        "role's permissions changed" => (Method::PATCH, the_role, json!({"permissions": []})),
        "role deleted" => (Method::DELETE, the_role, json!({})),
        "user locked" => (Method::POST, user + "/lock", json!({"reason": "a story"})),
        "user unlocked" => (Method::POST, user + "/unlock", json!({})),
        "tier changed" => (Method::PATCH, user, json!({"subscription_tier": "tiny"})),
        "user deleted" => (Method::DELETE, user, json!({})),
        other => panic!("nobody walks {other}"),
    }
}

async fn every_change_is_effective_when_it_is_answered(gateway: &Gateway) {
    for path in &PATHS {
        let subject = subject(gateway, path).await;
        // Twice: the second answer comes from memory.
        for _ in 0..2 {
            assert_eq!(outcome(gateway, &subject.key).await, path.before, "before {}", path.name);
        }
        walk(gateway, path, &subject).await;
        if path.name == "tier changed" {
            assert_eq!(outcome(gateway, &subject.key).await, ALLOWED, "the one a tiny tier allows");
        }
        assert_eq!(outcome(gateway, &subject.key).await, path.after, "after {}", path.name);
    }
}

on_both_stores!(every_change_is_effective_when_it_is_answered, alone_a_change_waits_for_nobody);

#[tokio::test]
async fn every_change_reaches_another_node_within_a_second() {
    let OnPostgres { gateway: first, database } = OnPostgres::start().await;
    let second = plan().on_postgres(&database.url()).start_beside(&first).await;
    for path in &PATHS {
        let subject = subject(&first, path).await;
        settled(&second, &subject.key, path.before).await;
        walk(&first, path, &subject).await;
        let took = settled(&second, &subject.key, path.after).await;
        assert!(took < Duration::from_secs(1), "{}: it took {took:?}", path.name);
    }
}

/// Walks a path and tells what the answer says of the nodes.
async fn walk_everywhere(gateway: &Gateway, path: &Path, subject: &Subject) -> String {
    let (method, path, body) = step(path, subject);
    let (path, key) = (format!("{path}?wait=true"), &gateway.admin().text);
    let (status, headers, answer) =
        call(gateway, (method, &path), Some(key), &[], Some(body)).await;
    assert!(status.is_success(), "{path}: {status}: {answer}");
    headers["x-gatepost-nodes"].to_str().expect("text").to_owned()
}

#[tokio::test]
async fn a_change_that_waits_is_effective_on_all_nodes_when_it_is_answered() {
    let OnPostgres { gateway: first, database } = OnPostgres::start().await;
    let mut second = plan().on_postgres(&database.url()).start_beside(&first).await;
    both_are_known(&first).await;
    for path in &PATHS {
        let subject = subject(&first, path).await;
        settled(&second, &subject.key, path.before).await;
        let nodes = walk_everywhere(&first, path, &subject).await;
        assert_eq!(nodes, "applied=2, live=2", "{}", path.name);
        if path.name == "tier changed" {
            assert_eq!(outcome(&second, &subject.key).await, ALLOWED, "the one a tiny tier allows");
        }
        assert_eq!(outcome(&second, &subject.key).await, path.after, "after {}", path.name);
    }

    // A node that hangs is waited for, within bounds, and told of.
    second.signal(Signal::STOP);
    let disabled = PATHS.iter().find(|path| path.name == "key disabled").expect("a path");
    let hidden = subject(&first, disabled).await;
    let since = Instant::now();
    assert_eq!(walk_everywhere(&first, disabled, &hidden).await, "applied=1, live=2");
    assert!(since.elapsed() < Duration::from_secs(9), "it took {:?}", since.elapsed());
    assert_eq!(outcome(&first, &hidden.key).await, disabled.after);
    second.signal(Signal::CONT);
    settled(&second, &hidden.key, disabled.after).await;

    // One that leaves is not waited for.
    second.signal(Signal::TERM);
    second.ended().await;
    let last = subject(&first, disabled).await;
    assert_eq!(walk_everywhere(&first, disabled, &last).await, "applied=1, live=1");
}

/// A node says that it is there a moment after it is ready.
async fn both_are_known(gateway: &Gateway) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while nodes(gateway).await != 2 {
        assert!(Instant::now() < deadline, "the nodes do not know each other");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn nodes(gateway: &Gateway) -> usize {
    let diagnostics = gateway.administer(Method::GET, "/api/v1/admin/diagnostics", None).await;
    diagnostics["nodes"].as_array().expect("nodes").len()
}

async fn alone_a_change_waits_for_nobody(gateway: &Gateway) {
    for path in PATHS.iter().filter(|path| path.name.starts_with("key ")) {
        let subject = subject(gateway, path).await;
        assert_eq!(walk_everywhere(gateway, path, &subject).await, "applied=1, live=1");
        assert_eq!(outcome(gateway, &subject.key).await, path.after, "after {}", path.name);
    }
    for (query, field) in [("wait=soon", "wait"), ("wiat=true", "wiat")] {
        let path = format!("/api/v1/admin/roles?{query}");
        let body = json!({"name": "hasty", "permissions": []});
        let (status, problem) =
            gateway.manage(Method::POST, &path, gateway.admin(), Some(body)).await;
        assert_eq!((status.as_u16(), &problem["field"]), (400, &json!(field)), "{problem}");
    }
}

/// How long it takes until `node` answers with `expected`.
async fn settled(node: &Gateway, key: &Key, expected: &str) -> Duration {
    let since = Instant::now();
    loop {
        let outcome = outcome(node, key).await;
        if outcome == expected {
            return since.elapsed();
        }
        assert!(since.elapsed() < Duration::from_secs(20), "it stays {outcome}, not {expected}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
