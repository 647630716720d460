//! Administration over the management API, as the README tells it.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::{Stand, on_both_stores};
use crate::support::gateway::{BINARY, Gateway, Key};

on_both_stores!(a_newcomer_by_command_line, a_newcomer_by_api);

/// The command line, as somebody with this key.
fn run_as(gateway: &Gateway, key: &str, words: &[&str]) -> Output {
    Command::new(BINARY)
        .args(words)
        .env_clear()
        .env("GATEPOST_SERVER", format!("http://{}", gateway.management))
        .env("GATEPOST_KEY", key)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn run(gateway: &Gateway, words: &[&str]) -> Output {
    run_as(gateway, &gateway.admin().text, words)
}

/// What it prints, and it must work.
fn says(gateway: &Gateway, words: &[&str]) -> String {
    let output = run(gateway, words);
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {problem}");
    String::from_utf8(output.stdout).expect("text")
}

fn refused(gateway: &Gateway, words: &[&str]) -> (Option<i32>, String) {
    let output = run(gateway, words);
    assert!(output.stdout.is_empty(), "{words:?}");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

fn held(text: &str) -> Key {
    let text = text.trim().to_owned();
    Key { id: Uuid::nil(), user_id: Uuid::nil(), lookup_id: text[8..24].to_owned(), text }
}

async fn a_newcomer_by_command_line(stand: &mut Stand) {
    let gateway = &stand.gateway;
    says(gateway, &["roles", "create", "order-clerk", "--permission", "orders:read"]);
    let clerk = "clerk@example.com";
    says(gateway, &["users", "create", "--email", clerk, "--role", "order-clerk"]);
    let make = ["keys", "create", "--user", clerk, "--name", "desk", "--permission", "orders:read"];
    let key = held(&says(gateway, &[&make[..], &["--quiet"]].concat()));
    assert!(key.text.starts_with("gp_live_"), "the key and nothing else is on stdout");

    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK);
    let deleted = gateway.send(Method::DELETE, "/api/v1/orders/1", &key).await;
    assert_eq!(deleted.status(), StatusCode::FORBIDDEN);

    let rotate = ["keys", "rotate", &key.lookup_id, "--overlap", "24h", "--quiet"];
    let next = held(&says(gateway, &rotate));
    assert_ne!(next.text, key.text);
    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK, "for a day");
    assert_eq!(gateway.status("/api/v1/orders", &next).await, StatusCode::OK);

    let log = says(gateway, &["logs", "list"]);
    for action in ["bootstrap", "create_role", "create_user", "create_key", "rotate_key"] {
        assert!(log.contains(action), "{log}");
    }
    let export = says(gateway, &["logs", "export", "--format", "csv"]);
    assert!(export.contains("rotate_key") && !export.contains(&key.text));
    assert_eq!(stand.verify(&[]).0, Some(0));
}

async fn a_newcomer_by_api(stand: &mut Stand) {
    let gateway = &stand.gateway;
    let role = json!({"name": "order-clerk", "permissions": ["orders:read"]});
    gateway.administer(Method::POST, "/api/v1/admin/roles", Some(role)).await;
    let user = json!({"email": "clerk@example.com", "roles": ["order-clerk"]});
    let user = gateway.administer(Method::POST, "/api/v1/admin/users", Some(user)).await;
    let user = user["id"].as_str().expect("an id").parse().expect("a UUID");
    let key = gateway.key_of(user, &["orders:read"], json!({})).await;
    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK);
    let deleted = gateway.send(Method::DELETE, "/api/v1/orders/1", &key).await;
    assert_eq!(deleted.status(), StatusCode::FORBIDDEN);

    let path = format!("/api/v1/admin/api-keys/{}/rotate", key.id);
    let next = gateway.administer(Method::POST, &path, Some(json!({"overlap": "24h"}))).await;
    let next = held(next["api_key"].as_str().expect("the new key"));
    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK, "for a day");
    assert_eq!(gateway.status("/api/v1/orders", &next).await, StatusCode::OK);

    let log = gateway.administer(Method::GET, "/api/v1/admin/logs?kind=audit", None).await;
    let log = log["data"].to_string();
    for action in ["bootstrap", "create_role", "create_user", "create_key", "rotate_key"] {
        assert!(log.contains(action), "{log}");
    }
    assert_eq!(stand.verify(&[]).0, Some(0));
}

#[tokio::test]
async fn scripts_read_json_and_people_tables() {
    let gateway = Gateway::start().await;
    let table = says(&gateway, &["roles", "list"]);
    assert!(table.starts_with("NAME") && table.contains("developer"), "{table}");
    let json: Value = serde_json::from_str(&says(&gateway, &["roles", "list", "--output", "json"]))
        .expect("JSON alone");
    let names: Vec<_> = json.as_array().unwrap().iter().map(|role| &role["name"]).collect();
    assert!(names.contains(&&json!("developer")), "{names:?}");

    says(&gateway, &["permissions", "create", "orders:read", "--category", "orders"]);
    assert!(says(&gateway, &["permissions", "list", "--limit", "200"]).contains("orders:read"));
    let shown = says(&gateway, &["roles", "show", "developer", "--output", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["name"], "developer");
}

#[tokio::test]
async fn users_are_found_by_email_and_changed() {
    let gateway = Gateway::start().await;
    let ada = "ada@example.com";
    says(&gateway, &["users", "create", "--email", ada, "--name", "Ada"]);
    says(&gateway, &["users", "roles", "add", ada, "developer", "auditor"]);
    assert!(says(&gateway, &["users", "show", ada]).contains("auditor, developer"));
    says(&gateway, &["users", "roles", "remove", ada, "auditor"]);
    says(&gateway, &["users", "update", ada, "--name", ""]);
    says(&gateway, &["users", "lock", ada, "--reason", "lost laptop", "--yes"]);
    let shown = says(&gateway, &["users", "show", ada, "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["roles"], json!(["developer"]));
    assert_eq!((&shown["display_name"], &shown["is_locked"]), (&Value::Null, &json!(true)));
    let unlocked = run(&gateway, &["users", "unlock", ada, "--wait"]);
    let said = String::from_utf8_lossy(&unlocked.stderr).into_owned();
    assert!(unlocked.status.success() && said.contains("applied=1, live=1"), "{said}");
    says(&gateway, &["users", "delete", ada, "--yes"]);
    assert_eq!(refused(&gateway, &["users", "show", ada]).0, Some(4));
}

/// What it prints for scripts, once `holds` is true of it: records are counted a moment later.
async fn counted(gateway: &Gateway, key: &str, words: &[&str], holds: fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let output = run_as(gateway, key, &[words, &["--output", "json"]].concat());
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{words:?}: {problem}");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
        if holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{words:?}: {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn usage_is_told_to_its_owner_and_all_of_it_to_admins() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    for _ in 0..3 {
        assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK);
    }
    gateway.send(Method::DELETE, "/api/v1/orders/1", &key).await;
    let own = ["usage", "own", "--route", "orders"];
    let own = counted(&gateway, &key.text, &own, |own| own["totals"]["requests"] == 3).await;
    assert_eq!(own["totals"]["errors"], 0);

    let owner = key.user_id.to_string();
    let all = ["usage", "all", "--user", &owner, "--by", "outcome"];
    let all = counted(&gateway, &gateway.admin().text, &all, |all| {
        all["groups"].as_array().is_some_and(|groups| groups.len() == 2)
    })
    .await;
    assert_eq!(all["groups"][1]["outcome"], "insufficient_permissions", "{all}");

    let table = says(&gateway, &["usage", "all", "--user", &owner, "--by", "route"]);
    assert!(table.starts_with("ROUTE") && table.contains("order-delete"), "{table}");
    assert!(says(&gateway, &["usage"]).starts_with("REQUESTS"));
    let export = says(&gateway, &["usage", "export", "--format", "csv", "--user", &owner]);
    assert!(export.starts_with("minute,") && export.contains("order-delete"), "{export}");

    let refused = run_as(&gateway, &key.text, &["usage", "all"]);
    assert_eq!(refused.status.code(), Some(7), "everybody's is for who may see it");
    let wrong = run_as(&gateway, &key.text, &["usage", "own", "--by", "user"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
}

#[tokio::test]
async fn nothing_is_destroyed_unasked() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    let (exit, said) = refused(&gateway, &["keys", "revoke", &key.lookup_id]);
    assert_eq!(exit, Some(2));
    assert!(said.contains("--yes"), "{said}");
    assert_eq!(gateway.status("/files/a", &key).await, StatusCode::OK);

    says(&gateway, &["keys", "revoke", &key.lookup_id, "--yes"]);
    assert_eq!(gateway.status("/files/a", &key).await, StatusCode::UNAUTHORIZED);
    let shown = says(&gateway, &["keys", "show", &key.lookup_id, "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert!(shown["revoked_at"].is_string());
    assert_eq!(shown["unused_permissions"], json!(["orders:read"]));
}

#[tokio::test]
async fn developers_look_after_their_own_keys() {
    let gateway = Gateway::start().await;
    let developer = ["api_keys:create", "api_keys:read", "api_keys:rotate", "api_keys:revoke"];
    let first = gateway.key(&[&developer[..], &["orders:read"]].concat()).await;
    let own = |words: &[&str]| {
        let output = run_as(&gateway, &first.text, &[&["keys", "--own"], words].concat());
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{words:?}: {problem}");
        String::from_utf8(output.stdout).expect("text")
    };
    let make = ["create", "--name", "ci", "--permission", "orders:read", "--quiet"];
    let key = held(&own(&make));
    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK);
    assert!(own(&["list"]).contains(&key.lookup_id));
    let update = ["update", &key.lookup_id, "--rate", "60/min", "--output", "json"];
    let shown: Value = serde_json::from_str(&own(&update)).expect("JSON");
    assert_eq!(shown["rate"], "60/min");
    let next = held(&own(&["rotate", &key.lookup_id, "--overlap", "1h", "--quiet"]));
    own(&["revoke", &key.lookup_id, "--yes"]);
    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::UNAUTHORIZED);
    assert_eq!(gateway.status("/api/v1/orders", &next).await, StatusCode::OK);

    let other = gateway.key(&[]).await;
    let foreign = run_as(&gateway, &first.text, &["keys", "--own", "show", &other.lookup_id]);
    assert_eq!(foreign.status.code(), Some(4), "somebody else's does not exist");
    let whose = refused(&gateway, &["keys", "create", "--name", "whose"]);
    assert!(whose.0 == Some(2) && whose.1.contains("--own"), "{}", whose.1);
}

#[tokio::test]
async fn keys_are_switched_off_imported_and_verified() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    says(&gateway, &["keys", "disable", &key.lookup_id, "--yes"]);
    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::UNAUTHORIZED);
    says(&gateway, &["keys", "enable", &key.lookup_id]);
    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK);

    let foreign = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";
    let sha256 = hex::encode(gatepost::key::Digest::of(foreign.as_bytes()).as_bytes());
    let owner = key.user_id.to_string();
    let import = ["keys", "import", "--user", &owner, "--name", "old", "--sha256", &sha256];
    says(&gateway, &[&import[..], &["--permission", "orders:read"]].concat());

    let verify = |text: &str| {
        let mut child = Command::new(BINARY)
            .args(["keys", "verify"])
            .env_clear()
            .env("GATEPOST_SERVER", format!("http://{}", gateway.management))
            .env("GATEPOST_KEY", &gateway.admin().text)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        writeln!(stdin, "{text}").expect("it reads");
        drop(stdin);
        child.wait().expect("it ends").code()
    };
    assert_eq!(verify(foreign), Some(0));
    assert_eq!(verify(&key.text), Some(0));
    assert_eq!(verify("sk_live_another"), Some(7));
}

#[tokio::test]
async fn every_end_has_its_exit_code() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    let output = run_as(&gateway, &key.text, &["users", "list"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(said.contains("users:read") && !said.contains(&key.text), "{said}");
    assert_eq!(run_as(&gateway, "wrong", &["users", "list"]).status.code(), Some(7));
    let (exit, said) = refused(&gateway, &["roles", "show", "nobody"]);
    assert_eq!(exit, Some(4), "{said}");
    assert_eq!(refused(&gateway, &["users", "create", "--email", "no email"]).0, Some(2));
    assert_eq!(refused(&gateway, &["users", "show", "nobody@example.com"]).0, Some(4));

    let bare = Command::new(BINARY).args(["users", "list"]).env_clear().output().unwrap();
    assert_eq!(bare.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&bare.stderr).contains("GATEPOST_KEY"));
    let file = gateway.dir().join("key");
    std::fs::write(&file, format!("{}\n", gateway.admin().text)).unwrap();
    let by_file = Command::new(BINARY)
        .args(["users", "list", "--key-file"])
        .arg(&file)
        .args(["--server", &format!("http://{}", gateway.management)])
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(by_file.status.code(), Some(0), "{}", String::from_utf8_lossy(&by_file.stderr));
}
