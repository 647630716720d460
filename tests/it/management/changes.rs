//! Users, roles and the configuration, as an administrator sees and changes them.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{judged, on_both_stores};
use crate::support::gateway::Gateway;

const USERS: &str = "/api/v1/admin/users";

async fn a_user_is_made_changed_locked_and_unlocked(gateway: &Gateway) {
    let body = json!({"email": "zo\u{eb}@example.com", "display_name": "Zo\u{eb} \u{738b}"});
    let user = gateway.administer(Method::POST, USERS, Some(body)).await;
    let path = format!("{USERS}/{}", user["id"].as_str().unwrap());
    let patch = json!({"display_name": null, "email": "zoe@example.com"});
    let changed = gateway.administer(Method::PATCH, &path, Some(patch)).await;
    assert!(changed["display_name"].is_null());
    assert_eq!(changed["email"], "zoe@example.com");
    let lock = json!({"reason": "a story", "until": "2099-01-01T00:00:00Z"});
    gateway.administer(Method::POST, &format!("{path}/lock"), Some(lock)).await;
    let locked = gateway.administer(Method::GET, &path, None).await;
    assert_eq!((&locked["is_locked"], &locked["lock_reason"]), (&json!(true), &json!("a story")));
    gateway.administer(Method::POST, &format!("{path}/unlock"), None).await;
    let unlocked = gateway.administer(Method::GET, &path, None).await;
    assert!(unlocked["is_locked"] == false && unlocked["locked_until"].is_null(), "{unlocked}");
}

async fn the_last_admin_stays(gateway: &Gateway) {
    let profile = gateway.administer(Method::GET, "/api/v1/profile", None).await;
    let path = format!("{USERS}/{}", profile["user"]["id"].as_str().unwrap());
    for (method, path, body) in [
        (Method::POST, format!("{path}/lock"), json!({})),
        (Method::DELETE, format!("{path}/roles/admin"), json!({})),
        (Method::PATCH, path.clone(), json!({"roles": []})),
        (Method::DELETE, path.clone(), json!({})),
    ] {
        let answer = judged(gateway, (method, &path), gateway.admin(), body).await;
        assert_eq!(answer, (409, "protected".into()), "{path}");
    }
}

async fn nobody_gives_a_role_that_has_more_than_they_have(gateway: &Gateway) {
    let helper = gateway.key(&["users:*", "permissions:*", "roles:manage", "orders:read"]).await;
    let user = format!("{USERS}/{}", gateway.user(&[]).await);
    for (method, path, body) in [
        (Method::POST, format!("{user}/roles"), json!({"roles": ["admin"]})),
        (Method::PATCH, user.clone(), json!({"roles": ["admin"]})),
        (Method::POST, USERS.into(), json!({"email": "b@example.com", "roles": ["admin"]})),
        (Method::POST, "/api/v1/admin/roles".into(), json!({"name": "more", "permissions": ["*"]})),
    ] {
        let answer = judged(gateway, (method, &path), &helper, body).await;
        assert_eq!(answer, (403, "exceeds_own_permissions".into()), "{path}");
    }
}

async fn pages_stay_whole_while_keys_are_made(gateway: &Gateway) {
    let user = gateway.user(&["orders:read"]).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(gateway.key_of(user, &[], json!({})).await.id.to_string());
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("{USERS}/{user}/api-keys?limit=2{cursor}");
        let page = gateway.administer(Method::GET, &path, None).await;
        let rows = page["data"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        if made.len() < 8 {
            made.push(gateway.key_of(user, &[], json!({})).await.id.to_string());
        }
    }
    assert_eq!(seen, made, "each once, in the order of their making");
}

async fn the_running_configuration_shows_routes_and_no_secret(gateway: &Gateway) {
    let config = gateway.administer(Method::GET, "/api/v1/admin/config", None).await;
    let names: Vec<_> =
        config["routes"].as_array().unwrap().iter().map(|route| &route["name"]).collect();
    assert!(names.contains(&&json!("orders")), "{config}");
    assert!(!config.to_string().contains(crate::support::gateway::SECRET_KEY));
    let url = config["store"]["url"].as_str().unwrap();
    assert!(url.starts_with("sqlite://") || url == "postgres://[redacted]", "{url}");
}

async fn a_reload_is_effective_when_it_is_answered_and_all_or_nothing(gateway: &Gateway) {
    let key = gateway.key(&["orders:read"]).await;
    let path = "/api/v1/admin/config/reload";
    let route =
        "\n[[routes]]\nname = \"more\"\npath = \"/more\"\nrequire = []\nupstream = \"sample\"\n";
    let file = gateway.dir().join("gatepost.toml");
    let old = std::fs::read_to_string(&file).unwrap();

    std::fs::write(&file, format!("{old}{route}")).unwrap();
    let shown = gateway.administer(Method::POST, path, None).await;
    assert!(shown.to_string().contains("\"/more\""), "{shown}");
    assert_eq!(gateway.status("/more", &key).await, StatusCode::OK);

    std::fs::write(&file, format!("{old}{}", route.replace("sample", "nowhere"))).unwrap();
    let (status, problem) = gateway.manage(Method::POST, path, gateway.admin(), None).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("invalid_config")));
    assert!(problem["detail"].as_str().unwrap().contains("nowhere"), "{problem}");
    assert_eq!(gateway.status("/more", &key).await, StatusCode::OK, "the old one goes on");
}

async fn a_permission_is_defined_read_and_taken_away(gateway: &Gateway) {
    let path = "/api/v1/admin/permissions";
    let body = json!({"name": "orders:read", "category": "orders"});
    gateway.administer(Method::POST, path, Some(body)).await;
    let one = format!("{path}/orders:read");
    assert_eq!(gateway.administer(Method::GET, &one, None).await["category"], "orders");
    gateway.administer(Method::DELETE, &one, None).await;
    let (status, _) = gateway.manage(Method::GET, &one, gateway.admin(), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

on_both_stores!(
    a_user_is_made_changed_locked_and_unlocked,
    the_last_admin_stays,
    nobody_gives_a_role_that_has_more_than_they_have,
    pages_stay_whole_while_keys_are_made,
    the_running_configuration_shows_routes_and_no_secret,
    a_reload_is_effective_when_it_is_answered_and_all_or_nothing,
    a_permission_is_defined_read_and_taken_away,
);
