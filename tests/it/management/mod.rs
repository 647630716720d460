//! The management API, as people and machines use it: stories on the real binary, on both stores.

mod access;
mod bodies;
mod changes;
mod documents;
mod effective;
mod keys;
mod once;
mod profile;

use std::sync::OnceLock;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::gateway::{Gateway, Key, Plan};
use crate::support::postgres::TestDatabase;

/// Tells each story on both stores.
macro_rules! on_both_stores {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $story() {
                super::$story(&crate::management::plan().start().await).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test] async fn $story() {
                let installed = crate::management::OnPostgres::start().await;
                super::$story(&installed.gateway).await;
            })+
        }
    };
}
pub(crate) use on_both_stores;

/// With a tier whose one request a minute is soon used up. Stories that are refused on purpose, all
/// from one address, are not to be kept out for it.
pub fn plan() -> Plan {
    Plan::new()
        .extra("\n[tiers.tiny]\nrate = \"1/min\"\n\n[lockout]\nsource_failures = \"60000/min\"\n")
}

/// A gateway, and the database that has to live as long.
pub struct OnPostgres {
    pub gateway: Gateway,
    pub database: TestDatabase,
}

impl OnPostgres {
    pub async fn start() -> Self {
        let database = TestDatabase::new().await;
        let gateway = plan().on_postgres(&database.url()).start().await;
        Self { gateway, database }
    }
}

/// One call with further headers: status, headers and body.
pub async fn call(
    gateway: &Gateway,
    (method, path): (Method, &str),
    key: Option<&str>,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> (StatusCode, reqwest::header::HeaderMap, Value) {
    let url = format!("http://{}{path}", gateway.management);
    let mut request = gateway.client.request(method, url);
    for (name, value) in key.map(|key| ("x-api-key", key)).iter().chain(headers) {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.expect("the management listener answers");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a body");
    (status, headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Asks as `key` and tells the status and the problem's code.
pub async fn judged(
    gateway: &Gateway,
    (method, path): (Method, &str),
    key: &Key,
    body: Value,
) -> (u16, String) {
    let (status, answer) = gateway.manage(method, path, key, Some(body)).await;
    (status.as_u16(), answer["code"].as_str().unwrap_or_default().to_owned())
}

/// The document of the API, from the binary.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let output = std::process::Command::new(crate::support::gateway::BINARY)
            .arg("openapi")
            .output()
            .expect("the program starts");
        serde_json::from_slice(&output.stdout).expect("JSON")
    })
}
