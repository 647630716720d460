//! Who may do what: every operation, tried with no key, a wrong key, a key that has every
//! permission but the one needed, the right key, and `admin`.

use gatepost::key::BUILT_IN_PERMISSIONS;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::{document, on_both_stores};
use crate::support::gateway::{Gateway, Key};

/// The table of the contract, for people to review: method, path, what it needs.
const TABLE: &str = include_str!("access.txt");

/// Operations that answer without a key. This list may only shrink.
const OPEN: [&str; 9] = [
    "GET /health",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
    "GET /status",
    "GET /.well-known/jwks.json",
    "GET /openapi.json",
    "GET /docs",
    "GET /docs/{name}",
];

struct Operation {
    method: Method,
    path: String,
    needs: Vec<String>,
}

/// What the program says of itself, in the words of the table.
fn served() -> Vec<String> {
    let mut lines = Vec::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let needs = match &operation["x-required-permissions"] {
                Value::Array(needs) if needs.is_empty() => "any valid key".to_owned(),
                Value::Array(needs) => {
                    needs.iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>().join(" ")
                }
                _ => "nothing".to_owned(),
            };
            lines.push(format!("{} {path} : {needs}", method.to_uppercase()));
        }
    }
    lines.sort();
    lines
}

#[test]
fn the_table_is_what_is_served() {
    let mut table: Vec<_> = TABLE.lines().map(str::to_owned).collect();
    table.sort();
    assert_eq!(served(), table, "tests/it/management/access.txt is to be reviewed");
}

#[test]
fn these_and_no_others_answer_without_a_key() {
    let open = TABLE.lines().filter_map(|line| line.strip_suffix(" : nothing"));
    let mut open: Vec<_> = open.collect();
    let mut known = OPEN;
    open.sort_unstable();
    known.sort_unstable();
    assert_eq!(open, known);
}

fn guarded() -> Vec<Operation> {
    let lines = TABLE.lines().filter_map(|line| line.split_once(" : "));
    lines
        .filter(|(_, needs)| *needs != "nothing")
        .map(|(operation, needs)| {
            let (method, path) = operation.split_once(' ').unwrap();
            let needs = needs.split(' ').filter(|_| needs != "any valid key");
            Operation {
                method: method.parse().unwrap(),
                path: path
                    .replace("{id}", &Uuid::now_v7().to_string())
                    .replace("{name}", "nobody_has:this"),
                needs: needs.map(str::to_owned).collect(),
            }
        })
        .collect()
}

async fn answer(
    gateway: &Gateway,
    operation: &Operation,
    key: Option<&str>,
) -> (StatusCode, Value) {
    let target = (operation.method.clone(), &*operation.path);
    let url = format!("http://{}{}", gateway.management, target.1);
    let request =
        gateway.client.request(target.0, url).header("x-api-key", key.unwrap_or_default());
    let response = request.send().await.expect("the management listener answers");
    let status = response.status();
    // An answer may be a stream without end; only what is refused tells why.
    if status.is_success() {
        return (status, Value::Null);
    }
    let problem: Value = response.json().await.expect("a problem");
    (status, problem["code"].clone())
}

fn is_let_in((status, code): &(StatusCode, Value)) -> bool {
    // What it asks for is not there, or incomplete: the operation itself has said so.
    status.is_success()
        || (status.is_client_error() && *status != StatusCode::UNAUTHORIZED)
            && *code != "insufficient_permissions"
}

async fn every_operation_is_judged(gateway: &Gateway) {
    let all_but = |missing: &str| -> Vec<&'static str> {
        let names = BUILT_IN_PERMISSIONS.iter().map(|(name, ..)| *name);
        names.filter(|name| *name != missing && *name != "admin").collect()
    };
    let admin = gateway.key(&["admin"]).await;
    let mut weak: Vec<(String, Key)> = Vec::new();
    for operation in guarded() {
        let name = format!("{} {}", operation.method, operation.path);
        let nobody = answer(gateway, &operation, None).await;
        assert_eq!(nobody, (StatusCode::UNAUTHORIZED, "missing_key".into()), "{name}");
        let wrong = answer(gateway, &operation, Some("gp_live_wrong")).await;
        assert_eq!(wrong, (StatusCode::UNAUTHORIZED, "invalid_key".into()), "{name}");

        for needed in &operation.needs {
            if !weak.iter().any(|(missing, _)| missing == needed) {
                weak.push((needed.clone(), gateway.key(&all_but(needed)).await));
            }
            let (_, key) = weak.iter().find(|(missing, _)| missing == needed).unwrap();
            let refused = answer(gateway, &operation, Some(&key.text)).await;
            let expected = (StatusCode::FORBIDDEN, "insufficient_permissions".into());
            assert_eq!(refused, expected, "{name} without {needed}");
        }

        let needs: Vec<_> = operation.needs.iter().map(String::as_str).collect();
        let right = gateway.key(&needs).await;
        let let_in = answer(gateway, &operation, Some(&right.text)).await;
        assert!(is_let_in(&let_in), "{name} with {needs:?}: {let_in:?}");
        let let_in = answer(gateway, &operation, Some(&admin.text)).await;
        assert!(is_let_in(&let_in), "{name} as admin: {let_in:?}");
    }
}

on_both_stores!(every_operation_is_judged);
