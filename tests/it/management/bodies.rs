//! What a body may hold: the same answer on both stores, and what is wrong named.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::on_both_stores;
use crate::support::gateway::Gateway;

const USERS: &str = "/api/v1/admin/users";
const KEYS: &str = "/api/v1/api-keys";

/// A body as it is written, and not as some library would have it.
async fn post(gateway: &Gateway, path: &str, media_type: &str, body: String) -> (u16, Value) {
    let request = gateway.client.post(format!("http://{}{path}", gateway.management));
    let request = request.header("x-api-key", &gateway.admin().text);
    let response = request.header("content-type", media_type).body(body).send().await;
    let response = response.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

async fn odd_values_are_refused_and_named(gateway: &Gateway) {
    let key = |member: &str| format!(r#"{{"name":"odd","permissions":[],{member}}}"#);
    let deep = format!(r#""metadata":{{"a":{}{}}}"#, "[".repeat(300), "]".repeat(300));
    for (member, field) in [
        (r#""metadata":{"a":1e400}"#, "metadata"),
        (r#""metadata":{"a":1.7976931348623157e308}"#, "metadata"),
        (r#""metadata":{"a":123456789012345678901234567890}"#, "metadata"),
        (r#""metadata":{"a":5e-324}"#, "metadata"),
        (r#""metadata":{"a":"\ud800"}"#, "metadata"),
        (r#""metadata":{"a\u0000":1}"#, "metadata"),
        (&deep, "metadata"),
        (r#""expires_at":"9999-12-31T23:59:59Z""#, "expires_at"),
        (r#""expires_at":"2099-01-01T00:00:00+0200""#, "expires_at"),
        (r#""rate":7"#, "rate"),
    ] {
        let (status, problem) = post(gateway, KEYS, "application/json", key(member)).await;
        let named = problem["field"].as_str().unwrap_or_default();
        assert_eq!((status, named), (400, field), "{member}: {problem}");
    }
    let text = key(r#""metadata":{}"#);
    let (status, problem) = post(gateway, KEYS, "application/json; charset=utf-16", text).await;
    assert_eq!((status, &problem["code"]), (415, &json!("unsupported_media_type")));
}

async fn metadata_comes_back_as_it_was_given(gateway: &Gateway) {
    let metadata = json!({
        "large": u64::MAX, "small": i64::MIN, "exact": 0.1, "thin": 1.5e-15, "round": 100.0,
        "digits": 299792.45800000004, "text": "Zo\u{eb} \u{738b} \u{1f980}", "": [null, true],
    });
    let body = json!({"name": "odd", "permissions": [], "metadata": metadata});
    let made = gateway.administer(Method::POST, KEYS, Some(body)).await;
    assert_eq!(made["metadata"], metadata);
    let path = format!("{KEYS}/{}", made["id"].as_str().expect("an id"));
    assert_eq!(gateway.administer(Method::GET, &path, None).await["metadata"], metadata);
    // Merged piece by piece it stays within its bound.
    let mut statuses = Vec::new();
    for n in 0..4 {
        let patch = json!({"metadata": {format!("piece-{n}"): "x".repeat(3000)}});
        let patched = gateway.manage(Method::PATCH, &path, gateway.admin(), Some(patch)).await;
        statuses.push(patched.0.as_u16());
    }
    assert_eq!(statuses, [200, 200, 400, 400]);
}

async fn one_person_has_one_email_however_it_is_spelt(gateway: &Gateway) {
    let make = |email: &str| {
        let body = json!({ "email": email });
        gateway.manage(Method::POST, USERS, gateway.admin(), Some(body))
    };
    assert_eq!(make("Zo\u{eb}@example.com").await.0, StatusCode::CREATED);
    for same in ["zoe\u{308}@example.com", "ZO\u{cb}@EXAMPLE.COM"] {
        let (status, problem) = make(same).await;
        assert_eq!((status.as_u16(), &problem["field"]), (409, &json!("email")), "{same}");
        let found = format!("{USERS}?email={}", same.replace('@', "%40"));
        let found = gateway.administer(Method::GET, &found, None).await;
        assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{same}: {found}");
    }
    for other in ["zo\u{eb}\u{200b}@example.com", "a\u{202e}moc.b@example.com", "a b@example.com"] {
        let (status, problem) = make(other).await;
        assert_eq!((status.as_u16(), &problem["field"]), (400, &json!("email")), "{other:?}");
    }
}

on_both_stores!(
    odd_values_are_refused_and_named,
    metadata_comes_back_as_it_was_given,
    one_person_has_one_email_however_it_is_spelt,
);
