//! `Idempotency-Key` and `If-Match`: what is sent twice is done once, and nothing is overwritten
//! unseen.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{call, on_both_stores};
use crate::support::gateway::Gateway;

const ROLES: &str = "/api/v1/admin/roles";
const KEYS: &str = "/api/v1/api-keys";

fn admin(gateway: &Gateway) -> Option<&str> {
    Some(&gateway.admin().text)
}

async fn a_repeated_request_is_answered_again_and_not_done_again(gateway: &Gateway) {
    let body = json!({"name": "clerk", "permissions": ["orders:read"]});
    let once = [("idempotency-key", "make-clerk")];
    let first =
        call(gateway, (Method::POST, ROLES), admin(gateway), &once, Some(body.clone())).await;
    assert_eq!(first.0, StatusCode::CREATED, "{}", first.2);
    let again = call(gateway, (Method::POST, ROLES), admin(gateway), &once, Some(body)).await;
    assert_eq!((again.0, &again.2), (StatusCode::CREATED, &first.2));
    assert_eq!(again.1["location"], first.1["location"]);
}

async fn a_repeated_creation_of_a_key_tells_the_id_and_never_the_key(gateway: &Gateway) {
    let body = json!({"name": "ci", "permissions": []});
    let once = [("idempotency-key", "make-ci")];
    let first =
        call(gateway, (Method::POST, KEYS), admin(gateway), &once, Some(body.clone())).await;
    assert_eq!(first.0, StatusCode::CREATED, "{}", first.2);
    let again = call(gateway, (Method::POST, KEYS), admin(gateway), &once, Some(body)).await;
    assert_eq!(again.0, StatusCode::CONFLICT);
    assert_eq!((&again.2["code"], &again.2["id"]), (&json!("already_done"), &first.2["id"]));
    assert!(!again.2.to_string().contains("gp_"), "{}", again.2);
}

async fn two_at_once_are_done_once(gateway: &Gateway) {
    let make = || {
        let body = json!({"name": "racer", "permissions": []});
        call(
            gateway,
            (Method::POST, KEYS),
            admin(gateway),
            &[("idempotency-key", "race")],
            Some(body),
        )
    };
    let answers = tokio::join!(make(), make(), make(), make());
    let statuses = [answers.0.0, answers.1.0, answers.2.0, answers.3.0];
    let made = statuses.iter().filter(|status| **status == StatusCode::CREATED).count();
    let told = statuses.iter().filter(|status| **status == StatusCode::CONFLICT).count();
    assert_eq!((made, told), (1, 3), "{statuses:?}");
}

async fn another_request_under_the_same_name_is_refused(gateway: &Gateway) {
    let once = [("idempotency-key", "mixed-up")];
    for (name, expected) in
        [("one", StatusCode::CREATED), ("two", StatusCode::UNPROCESSABLE_ENTITY)]
    {
        let body = json!({"name": name, "permissions": []});
        let answer = call(gateway, (Method::POST, ROLES), admin(gateway), &once, Some(body)).await;
        assert_eq!(answer.0, expected, "{}", answer.2);
    }
}

async fn names_belong_to_the_key_that_used_them(gateway: &Gateway) {
    let once = [("idempotency-key", "shared-name")];
    let other = gateway.key(&["roles:manage"]).await;
    for (key, name) in [(&gateway.admin().text, "mine"), (&other.text, "theirs")] {
        let body = json!({"name": name, "permissions": []});
        let answer = call(gateway, (Method::POST, ROLES), Some(key), &once, Some(body)).await;
        assert_eq!(answer.0, StatusCode::CREATED, "{}", answer.2);
    }
}

async fn what_failed_may_be_tried_again_under_its_name(gateway: &Gateway) {
    let once = [("idempotency-key", "second-try")];
    let wrong = json!({"name": "later", "permissions": ["no permission"]});
    let answer = call(gateway, (Method::POST, ROLES), admin(gateway), &once, Some(wrong)).await;
    assert_eq!(answer.0, StatusCode::BAD_REQUEST);
    let right = json!({"name": "later", "permissions": []});
    let answer = call(gateway, (Method::POST, ROLES), admin(gateway), &once, Some(right)).await;
    assert_eq!(answer.0, StatusCode::CREATED, "{}", answer.2);
}

async fn a_change_that_builds_on_an_old_version_is_refused(gateway: &Gateway) {
    let key = gateway.key(&["orders:read"]).await;
    gateway.administer(Method::POST, ROLES, Some(json!({"name": "old", "permissions": []}))).await;
    for (path, patch) in [
        (format!("/api/v1/admin/api-keys/{}", key.id), json!({"name": "renamed"})),
        (format!("{ROLES}/old"), json!({"description": "changed"})),
        // Last: it takes the key with it.
        (format!("/api/v1/admin/users/{}", key.user_id), json!({"display_name": "Ada"})),
    ] {
        let read = call(gateway, (Method::GET, &path), admin(gateway), &[], None).await;
        let tag = read.1["etag"].to_str().unwrap().to_owned();
        let build_on = [("if-match", &*tag)];
        let patching = || {
            call(gateway, (Method::PATCH, &path), admin(gateway), &build_on, Some(patch.clone()))
        };
        let changed = patching().await;
        assert_eq!(changed.0, StatusCode::OK, "{path}: {}", changed.2);
        assert_ne!(changed.1["etag"], *tag, "{path}");
        let stale = patching().await;
        assert_eq!(
            (stale.0, &stale.2["code"]),
            (StatusCode::PRECONDITION_FAILED, &json!("precondition_failed"))
        );
        let stale = call(gateway, (Method::DELETE, &path), admin(gateway), &build_on, None).await;
        assert_eq!(stale.0, StatusCode::PRECONDITION_FAILED, "{path}");
        let any = [("if-match", "*")];
        let gone = call(gateway, (Method::DELETE, &path), admin(gateway), &any, None).await;
        assert_eq!(gone.0, StatusCode::NO_CONTENT, "{path}: {}", gone.2);
    }
}

on_both_stores!(
    a_repeated_request_is_answered_again_and_not_done_again,
    a_repeated_creation_of_a_key_tells_the_id_and_never_the_key,
    two_at_once_are_done_once,
    another_request_under_the_same_name_is_refused,
    names_belong_to_the_key_that_used_them,
    what_failed_may_be_tried_again_under_its_name,
    a_change_that_builds_on_an_old_version_is_refused,
);
