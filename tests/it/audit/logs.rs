use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Stand, on_both_stores};

on_both_stores!(
    the_log_is_listed_newest_first_filtered_and_paged,
    the_export_is_the_whole_log_in_its_order,
    a_formula_in_a_name_is_text_in_the_export,
    the_log_is_for_those_who_may_read_it,
);

const LOGS: &str = "/api/v1/admin/logs?kind=audit";
const EXPORT: &str = "/api/v1/admin/logs/export?kind=audit";

async fn the_log_is_listed_newest_first_filtered_and_paged(stand: &mut Stand) {
    let gateway = &stand.gateway;
    let key = gateway.key(&["orders:read"]).await;
    gateway.revoke(&key).await;

    let newest = gateway.administer(Method::GET, &format!("{LOGS}&limit=1"), None).await;
    let row = &newest["data"][0];
    assert_eq!(row["action"], "revoke_key");
    assert_eq!(row["subject_id"], key.id.to_string());
    assert!(row["before"]["revoked_at"].is_null() && row["after"]["revoked_at"].is_string());
    assert!(row["actor_user_id"].is_string() && row["actor_ip"] == "127.0.0.1", "{row}");
    assert!(!row.to_string().contains(&key.text), "never the key");

    let cursor = newest["next_cursor"].as_str().expect("there is more");
    let next =
        gateway.administer(Method::GET, &format!("{LOGS}&limit=1&cursor={cursor}"), None).await;
    assert_eq!(next["data"][0]["action"], "create_key");

    let of = async |filter: &str| {
        let listed = gateway.administer(Method::GET, &format!("{LOGS}&{filter}"), None).await;
        listed["data"].as_array().expect("a list").len()
    };
    assert_eq!(of("action=revoke_key").await, 1);
    assert_eq!(of(&format!("subject_id={}", key.id)).await, 2);
    assert_eq!(of("subject_kind=role").await, 1);
    assert_eq!(of("to=2000-01-01T00:00:00Z").await, 0);
    let wrong = ["kind=nothing", "kind=audit&acton=x", "limit=1", "kind=audit&from=yesterday"];
    for query in wrong {
        let path = format!("/api/v1/admin/logs?{query}");
        let (status, problem) = gateway.manage(Method::GET, &path, gateway.admin(), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {problem}");
    }
}

async fn the_export_is_the_whole_log_in_its_order(stand: &mut Stand) {
    let gateway = &stand.gateway;
    // More than a page of the store.
    for n in 0..210 {
        let body = json!({"name": format!("role-{n}"), "permissions": []});
        gateway.administer(Method::POST, "/api/v1/admin/roles", Some(body)).await;
    }
    let ndjson = gateway.administer(Method::GET, &format!("{EXPORT}&format=ndjson"), None).await;
    let text = ndjson.as_str().expect("lines, not one document");
    let seqs: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=212).collect::<Vec<_>>());

    let csv = gateway.administer(Method::GET, &format!("{EXPORT}&format=csv"), None).await;
    let csv = csv.as_str().expect("text");
    assert!(csv.starts_with("seq,at,action,"), "{csv}");
    assert_eq!(csv.matches("create_role").count(), 210);
    let path = format!("{EXPORT}&format=xml");
    let (status, _) = gateway.manage(Method::GET, &path, gateway.admin(), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

async fn a_formula_in_a_name_is_text_in_the_export(stand: &mut Stand) {
    stand
        .tamper("UPDATE audit_log SET subject_id = '=HYPERLINK(\"http://x\",\"y\")' WHERE seq = 1");
    let path = format!("{EXPORT}&format=csv");
    let csv = stand.gateway.administer(Method::GET, &path, None).await;
    let csv = csv.as_str().expect("text");
    assert!(csv.contains(",\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\","), "{csv}");
}

async fn the_log_is_for_those_who_may_read_it(stand: &mut Stand) {
    let gateway = &stand.gateway;
    let reader = gateway.key(&["logs:read"]).await;
    let nobody = gateway.key(&["orders:read"]).await;
    let status = async |key, path: &str| gateway.manage(Method::GET, path, key, None).await.0;
    assert_eq!(status(&reader, LOGS).await, StatusCode::OK);
    assert_eq!(status(&reader, &format!("{EXPORT}&format=csv")).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&nobody, LOGS).await, StatusCode::FORBIDDEN);
}
