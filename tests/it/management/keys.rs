//! Keys: changed, rotated, imported, verified, and never mightier than who makes them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{judged, on_both_stores};
use crate::support::gateway::{Gateway, Key, uuid};

const OWN: &str = "/api/v1/api-keys";
const ALL: &str = "/api/v1/admin/api-keys";
const VERIFY: &str = "/api/v1/admin/api-keys/verify";

async fn a_patch_changes_what_it_names_and_no_more(gateway: &Gateway) {
    let metadata = json!({"team": "orders", "cost": {"centre": 7}});
    let key = gateway.key_with(&["orders:read"], json!({"metadata": metadata})).await;
    let path = format!("{ALL}/{}", key.id);
    let patch = json!({
        "name": "desk", "expires_at": "2099-01-01T00:00:00Z", "allowed_ips": ["127.0.0.0/8"],
        "metadata": {"team": null, "cost": {"owner": "ada"}},
    });
    let changed = gateway.administer(Method::PATCH, &path, Some(patch)).await;
    assert_eq!(changed["name"], "desk");
    assert_eq!(changed["permissions"], json!(["orders:read"]), "absent: it stays");
    assert_eq!(changed["metadata"], json!({"cost": {"centre": 7, "owner": "ada"}}), "merged");
    let patch = json!({"expires_at": null, "allowed_ips": null, "metadata": null});
    let changed = gateway.administer(Method::PATCH, &path, Some(patch)).await;
    assert!(changed["expires_at"].is_null() && changed["metadata"].is_null(), "{changed}");
    assert_eq!(changed["allowed_ips"], json!([]));
}

/// Everything that a key can be given.
fn all_members() -> Value {
    json!({
        "name": "Zo\u{eb}'s desk", "permissions": ["orders:*", "users:read"],
        "environment": "staging", "expires_at": "2099-12-31T23:59:59.123456Z",
        "allowed_ips": ["10.0.0.0/8", "2001:db8::/32", "127.0.0.1/32"], "rate": "5/s",
        "quota": "10000/month", "metadata": {"team": "orders", "deep": {"er": [1, null, "x"]}},
    })
}

fn holds(answer: &Value, members: &Value, told: &str) {
    for (name, value) in members.as_object().expect("members") {
        assert_eq!(&answer[name], value, "{told}: {name}: {answer}");
    }
}

async fn every_member_comes_back_however_it_is_read(gateway: &Gateway) {
    let members = all_members();
    let user = gateway.user(&["*"]).await;
    let theirs = format!("/api/v1/admin/users/{user}/api-keys");
    let made = gateway.administer(Method::POST, &theirs, Some(members.clone())).await;
    holds(&made, &members, "made");
    let path = format!("{ALL}/{}", made["id"].as_str().expect("an id"));
    holds(&gateway.administer(Method::GET, &path, None).await, &members, "read");
    holds(&gateway.administer(Method::GET, &theirs, None).await["data"][0], &members, "listed");

    let rotated = gateway.administer(Method::POST, &format!("{path}/rotate"), None).await;
    holds(&rotated, &members, "rotated");
    let path = format!("{ALL}/{}", rotated["id"].as_str().expect("an id"));
    holds(&gateway.administer(Method::GET, &path, None).await, &members, "rotated and read");

    let patch = json!({
        "name": "till", "permissions": [], "expires_at": "2098-01-01T00:00:00Z",
        "allowed_ips": ["192.0.2.7/32"], "rate": "60/min", "quota": "unlimited",
        "metadata": {"team": "sales", "deep": null}, "disabled": true,
    });
    let mut patched = patch.clone();
    patched["metadata"] = json!({"team": "sales"});
    let answer = gateway.administer(Method::PATCH, &path, Some(patch)).await;
    holds(&answer, &patched, "patched");
    let read = gateway.administer(Method::GET, &path, None).await;
    holds(&read, &patched, "patched and read");
    assert_eq!(read["environment"], "staging");

    let cleared = json!({
        "expires_at": null, "allowed_ips": null, "rate": null, "quota": null, "metadata": null,
    });
    let answer = gateway.administer(Method::PATCH, &path, Some(cleared.clone())).await;
    let mut gone = cleared;
    gone["allowed_ips"] = json!([]);
    holds(&answer, &gone, "cleared");
    holds(&gateway.administer(Method::GET, &path, None).await, &gone, "cleared and read");
    let again = gateway.administer(Method::POST, &format!("{path}/rotate"), None).await;
    assert_eq!(again["disabled"], true, "rotating is no way round being disabled");
}

async fn a_patch_names_what_is_wrong_with_it(gateway: &Gateway) {
    let key = gateway.key(&["orders:read"]).await;
    let path = format!("{ALL}/{}", key.id);
    for (patch, field) in [
        (json!({"name": null}), "name"),
        (json!({"permissions": null}), "permissions"),
        (json!({"disabled": "yes"}), "disabled"),
        (json!({"environment": "test"}), "environment"),
        (json!({"expires_at": "2001-01-01T00:00:00Z"}), "expires_at"),
        (json!({"allowed_ips": ["10.1.2.3/8"]}), "allowed_ips"),
    ] {
        let (status, problem) =
            gateway.manage(Method::PATCH, &path, gateway.admin(), Some(patch)).await;
        assert_eq!((status.as_u16(), &problem["field"]), (400, &json!(field)), "{problem}");
    }
}

async fn nobody_makes_a_key_mightier_than_they_are(gateway: &Gateway) {
    let clerk = gateway.key(&["api_keys:*", "users:*", "orders:read"]).await;
    let mighty = gateway.key(&["orders:*"]).await;
    let theirs = format!("{ALL}/{}", mighty.id);
    let import = json!({
        "user_id": mighty.user_id, "name": "legacy", "permissions": ["orders:*"],
        "key_hash": hex::encode(Sha256::digest("mightier than the clerk")),
    });
    for (method, path, body) in [
        (
            Method::PATCH,
            theirs.clone(),
            json!({"permissions": ["orders:*", "orders:read"], "allowed_ips": []}),
        ),
        (Method::POST, format!("{theirs}/rotate"), json!({})),
        (Method::POST, format!("{ALL}/import"), import),
    ] {
        let answer = judged(gateway, (method, &path), &clerk, body.clone()).await;
        let narrowing = body["allowed_ips"].is_array();
        let expected = if narrowing { (200, "") } else { (403, "exceeds_own_permissions") };
        assert_eq!((answer.0, &*answer.1), expected, "{path} {body}");
    }
    // Out of use and narrower is fine; back into use is giving.
    let off = judged(gateway, (Method::PATCH, &theirs), &clerk, json!({"disabled": true})).await;
    assert_eq!(off.0, 200);
    let on = judged(gateway, (Method::PATCH, &theirs), &clerk, json!({"disabled": false})).await;
    assert_eq!(on, (403, "exceeds_own_permissions".into()));
}

async fn a_key_that_may_only_rotate_gets_no_more_by_rotating(gateway: &Gateway) {
    let user = gateway.user(&["api_keys:rotate", "orders:*"]).await;
    let weak = gateway.key_of(user, &["api_keys:rotate"], json!({})).await;
    let strong = gateway.key_of(user, &["orders:*"], json!({})).await;
    let path = format!("{OWN}/{}/rotate", strong.id);
    let refused = judged(gateway, (Method::POST, &path), &weak, json!({})).await;
    assert_eq!(refused, (403, "exceeds_own_permissions".into()));
    let path = format!("{OWN}/{}/rotate", weak.id);
    let (status, made) = gateway.manage(Method::POST, &path, &weak, None).await;
    assert_eq!((status, &made["permissions"]), (StatusCode::CREATED, &json!(["api_keys:rotate"])));
}

async fn with_an_overlap_both_keys_work_and_then_one(gateway: &Gateway) {
    let old = gateway.key(&["orders:read"]).await;
    let path = format!("{ALL}/{}/rotate", old.id);
    let made = gateway.administer(Method::POST, &path, Some(json!({"overlap": "24h"}))).await;
    assert_eq!(made["rotated_from"], json!(old.id));
    let new = Key {
        id: uuid(&made["id"]),
        text: made["api_key"].as_str().unwrap().into(),
        ..old.clone()
    };
    for key in [&old, &new] {
        assert_eq!(gateway.status("/api/v1/orders", key).await, StatusCode::OK);
    }
    let shown = gateway.administer(Method::GET, &format!("{ALL}/{}", old.id), None).await;
    assert!(shown["expires_at"].is_string() && shown["revoked_at"].is_null(), "{shown}");
}

async fn a_foreign_key_stays_nobody_elses_business(gateway: &Gateway) {
    let mine = gateway.key(&["api_keys:*"]).await;
    let theirs = gateway.key(&["orders:read"]).await;
    for (method, path) in [
        (Method::GET, format!("{OWN}/{}", theirs.id)),
        (Method::PATCH, format!("{OWN}/{}", theirs.id)),
        (Method::POST, format!("{OWN}/{}/rotate", theirs.id)),
        (Method::DELETE, format!("{OWN}/{}", theirs.id)),
    ] {
        let answer = judged(gateway, (method, &path), &mine, json!({})).await;
        assert_eq!(answer, (404, "not_found".into()), "{path}");
    }
}

async fn an_imported_key_can_be_rotated_into_one_of_ours(gateway: &Gateway) {
    let user = gateway.user(&["orders:read"]).await;
    let body = json!({
        "user_id": user, "name": "legacy", "permissions": ["orders:read"],
        "key_hash": hex::encode(Sha256::digest("a key of another system")),
    });
    let import = format!("{ALL}/import");
    let made = gateway.administer(Method::POST, &import, Some(body.clone())).await;
    assert!(made["lookup_id"].is_null() && made["api_key"].is_null(), "{made}");
    let twice = judged(gateway, (Method::POST, &import), gateway.admin(), body).await;
    assert_eq!(twice, (409, "conflict".into()));
    let path = format!("{ALL}/{}/rotate", made["id"].as_str().unwrap());
    let rotated = gateway.administer(Method::POST, &path, None).await;
    assert!(rotated["api_key"].as_str().unwrap().starts_with("gp_live_"), "{}", rotated["id"]);
}

async fn a_presented_key_is_told_apart_from_others(gateway: &Gateway) {
    let key = gateway.key(&["orders:read"]).await;
    let verify =
        |text: &str| gateway.administer(Method::POST, VERIFY, Some(json!({"api_key": text})));
    let good = verify(&key.text).await;
    assert_eq!((&good["valid"], &good["permissions"]), (&json!(true), &json!(["orders:read"])));
    assert_eq!(good["user"]["id"], json!(key.user_id));

    let mut wrong = key.text.clone();
    wrong.replace_range(wrong.len() - 1.., if key.text.ends_with('0') { "1" } else { "0" });
    for text in [&*wrong, "a key of nobody", "gp_"] {
        assert_eq!(verify(text).await, json!({"valid": false, "code": "invalid_key"}), "{text}");
    }
    gateway.revoke(&key).await;
    let revoked = verify(&key.text).await;
    assert_eq!((&revoked["valid"], &revoked["code"]), (&json!(false), &json!("key_revoked")));
    let secret = &key.text[key.text.len() - 30..];
    assert!(!gateway.log().contains(secret), "a presented key is in the log");
}

async fn keys_worth_a_look_are_counted_and_found(gateway: &Gateway) {
    let soon = jiff::Timestamp::from_second(gatepost::clock::now().as_second() + 3600).unwrap();
    let key = gateway.key_with(&["orders:read"], json!({"expires_at": soon})).await;
    let diagnostics = gateway.administer(Method::GET, "/api/v1/admin/diagnostics", None).await;
    assert_eq!(diagnostics["keys"]["nearing_expiry"], 1, "{diagnostics}");
    assert!(diagnostics["keys"]["never_used"].as_u64() >= Some(1), "{diagnostics}");
    assert_eq!(diagnostics["keys"]["unused"], 0, "{diagnostics}");
    let undefined = diagnostics["undefined_permissions"].as_array().unwrap();
    assert!(undefined.contains(&json!("orders:delete")), "nobody defined it: {undefined:?}");
    let later = jiff::Timestamp::from_second(soon.as_second() + 1).unwrap();
    let path = format!("{ALL}?expires_before={later}&never_used=true");
    let found = gateway.administer(Method::GET, &path, None).await;
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found["data"][0]["id"], json!(key.id));

    let noticed = async |why: &str| {
        let path = format!("{ALL}?attention={why}&user_id={}", key.user_id);
        let found = gateway.administer(Method::GET, &path, None).await;
        found["data"].as_array().map(Vec::len)
    };
    for (why, count) in [("nearing_expiry", 1), ("never_used", 1), ("unused", 0)] {
        assert_eq!(noticed(why).await, Some(count), "{why}");
    }
    gateway.revoke(&key).await;
    assert_eq!(noticed("nearing_expiry").await, Some(0), "a dead key needs nobody");
}

on_both_stores!(
    a_patch_changes_what_it_names_and_no_more,
    every_member_comes_back_however_it_is_read,
    a_patch_names_what_is_wrong_with_it,
    nobody_makes_a_key_mightier_than_they_are,
    a_key_that_may_only_rotate_gets_no_more_by_rotating,
    with_an_overlap_both_keys_work_and_then_one,
    a_foreign_key_stays_nobody_elses_business,
    an_imported_key_can_be_rotated_into_one_of_ours,
    a_presented_key_is_told_apart_from_others,
    keys_worth_a_look_are_counted_and_found,
);
