use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Stand, on_both_stores};

on_both_stores!(
    an_untouched_log_verifies,
    a_changed_row_is_named,
    a_removed_row_is_named,
    a_cut_off_end_is_told_by_the_head_from_the_log,
    a_change_that_cannot_be_recorded_does_not_happen,
);

async fn role(stand: &Stand, name: &str) {
    let body = json!({"name": name, "permissions": ["orders:read"]});
    stand.gateway.administer(Method::POST, "/api/v1/admin/roles", Some(body)).await;
}

async fn an_untouched_log_verifies(stand: &mut Stand) {
    role(stand, "order-clerk").await;
    let (exit, head, said) = stand.verify(&[]);
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(head.len(), 64, "the head is alone on stdout: {head}");
    assert_eq!(stand.verify(&["--head", &head]).0, Some(0));
    role(stand, "another").await;
    assert_eq!(stand.verify(&["--head", &head]).0, Some(0), "what was the head is in the chain");
}

async fn a_changed_row_is_named(stand: &mut Stand) {
    role(stand, "order-clerk").await;
    role(stand, "another").await;
    stand.tamper("UPDATE audit_log SET subject_id = 'nobody' WHERE subject_id = 'order-clerk'");
    let (exit, head, said) = stand.verify(&[]);
    assert_eq!((exit, &*head), (Some(7), ""));
    assert!(said.contains("row 3 was changed"), "{said}");
}

async fn a_removed_row_is_named(stand: &mut Stand) {
    role(stand, "order-clerk").await;
    role(stand, "another").await;
    stand.tamper("DELETE FROM audit_log WHERE seq = 3");
    let (exit, _, said) = stand.verify(&[]);
    assert_eq!(exit, Some(7));
    assert!(said.contains("row 3 was removed"), "{said}");
}

async fn a_cut_off_end_is_told_by_the_head_from_the_log(stand: &mut Stand) {
    role(stand, "order-clerk").await;
    // The head is logged when a node starts, and every minute from then on.
    assert!(stand.gateway.terminate().await.success());
    stand.gateway.run();
    stand.gateway.ready().await;
    let head = logged_head(&stand.gateway.log()).expect("the log tells the head");
    assert_eq!(stand.verify(&["--head", &head]).0, Some(0));

    stand.tamper("DELETE FROM audit_log WHERE seq = (SELECT max(seq) FROM audit_log)");
    assert_eq!(stand.verify(&[]).0, Some(0), "the rest alone cannot tell");
    let (exit, _, said) = stand.verify(&["--head", &head]);
    assert_eq!(exit, Some(7));
    assert!(said.contains("cut off") && said.contains(&head), "{said}");
}

/// The newest one in a log of JSON lines.
fn logged_head(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.contains("audit head"))?;
    let after = &line[line.find("head\":\"").map(|at| at + 7)?..];
    Some(after.chars().take(64).collect())
}

async fn a_change_that_cannot_be_recorded_does_not_happen(stand: &mut Stand) {
    let broken = match stand.database {
        Some(_) => "ALTER TABLE audit_log ADD CONSTRAINT full_up CHECK (action <> 'create_role')",
        None => {
            "CREATE TRIGGER full_up BEFORE INSERT ON audit_log WHEN NEW.action = 'create_role'
             BEGIN SELECT RAISE(ABORT, 'full up'); END"
        }
    };
    stand.tamper(broken);
    let gateway = &stand.gateway;
    let body = json!({"name": "order-clerk", "permissions": []});
    let path = "/api/v1/admin/roles";
    let (status, _) = gateway.manage(Method::POST, path, gateway.admin(), Some(body)).await;
    assert!(status.is_server_error(), "{status}");
    let path = "/api/v1/admin/roles/order-clerk";
    let (status, _) = gateway.manage(Method::GET, path, gateway.admin(), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(stand.verify(&[]).0, Some(0));
}
