//! Users, roles and the configuration, as an administrator sees and changes them.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{call, judged, on_both_stores};
use crate::support::gateway::Gateway;

const USERS: &str = "/api/v1/admin/users";
const ROLES: &str = "/api/v1/admin/roles";
const KEYS: &str = "/api/v1/admin/api-keys";

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

/// Somebody may do everything that hands out power, and still gets none for themselves.
async fn whoever_hands_out_power_gets_none(gateway: &Gateway) {
    let mine = ["users:*", "api_keys:*", "permissions:*", "roles:manage", "orders:read"];
    let helper = gateway.key(&mine).await;
    let root = gateway.administer(Method::GET, "/api/v1/profile", None).await;
    let (root_id, root_key) = (&root["user"]["id"], &root["key"]["id"]);
    let root_user = format!("{USERS}/{}", root_id.as_str().unwrap());
    let root_key = format!("{KEYS}/{}", root_key.as_str().unwrap());
    let me = format!("{USERS}/{}", helper.user_id);
    let my_role = gateway.administer(Method::GET, &me, None).await["roles"][0].clone();
    let my_role = format!("{ROLES}/{}", my_role.as_str().unwrap());
    let role = |permission: &str| json!({"name": "more", "permissions": [permission]});
    let key = |permission: &str| json!({"name": "more", "permissions": [permission]});
    let mut import = key("*");
    import["user_id"] = root_id.clone();
    import["key_hash"] = json!("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    let too_much = (403, "exceeds_own_permissions");
    let stays = (409, "protected");
    for ((method, path, body), expected) in [
        ((Method::PATCH, my_role.clone(), json!({"permissions": ["*"]})), too_much),
        ((Method::PATCH, my_role, json!({"permissions": ["orders:*"]})), too_much),
        ((Method::POST, ROLES.into(), role("admin")), too_much),
        ((Method::POST, ROLES.into(), role("*:read")), too_much),
        ((Method::POST, format!("{me}/roles"), json!({"roles": ["operator"]})), too_much),
        ((Method::PATCH, me.clone(), json!({"roles": ["admin"]})), too_much),
        ((Method::POST, format!("{me}/api-keys"), key("orders:delete")), too_much),
        ((Method::POST, "/api/v1/api-keys".into(), key("*")), too_much),
        ((Method::POST, format!("{root_user}/api-keys"), key("*")), too_much),
        ((Method::POST, format!("{KEYS}/import"), import), too_much),
        ((Method::POST, format!("{root_key}/rotate"), json!({})), too_much),
        ((Method::PATCH, root_key, json!({"rate": null, "expires_at": null})), too_much),
        ((Method::PATCH, format!("{ROLES}/developer"), json!({"permissions": []})), stays),
        ((Method::DELETE, format!("{ROLES}/admin"), json!({})), stays),
        ((Method::DELETE, "/api/v1/admin/permissions/admin".into(), json!({})), stays),
        ((Method::POST, format!("{root_user}/lock"), json!({})), stays),
        ((Method::PATCH, root_user.clone(), json!({"roles": []})), stays),
        ((Method::DELETE, format!("{root_user}/roles/admin"), json!({})), stays),
        ((Method::DELETE, root_user, json!({})), stays),
    ] {
        let answer = judged(gateway, (method.clone(), &path), &helper, body.clone()).await;
        assert_eq!((answer.0, &*answer.1), expected, "{method} {path} {body}");
    }
    let profile = gateway.manage(Method::GET, "/api/v1/profile", &helper, None).await.1;
    assert_eq!(profile["permissions"].as_array().map(Vec::len), Some(mine.len()), "{profile}");
}

async fn methods_and_paths_are_taken_by_the_letter(gateway: &Gateway) {
    let key = Some(&*gateway.admin().text);
    for (method, path, expected) in [
        (Method::HEAD, USERS, 200),
        (Method::OPTIONS, USERS, 405),
        (Method::PUT, USERS, 405),
        (Method::GET, "/api/v1/admin/users/", 404),
        (Method::GET, "/api/v1/Admin/users", 404),
        (Method::GET, "/api/v1/admin//users", 400),
        (Method::GET, "/api/v1/admin/users/7", 404),
        (Method::GET, "/api/v1/admin/users?role=admin&role=x", 400),
    ] {
        let (status, headers, _) = call(gateway, (method.clone(), path), key, &[], None).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}");
        if expected == 405 {
            assert_eq!(headers["allow"], "GET, HEAD, POST", "{method} {path}");
        }
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

async fn a_tier_that_is_gone_is_told_of(gateway: &Gateway) {
    let file = gateway.dir().join("gatepost.toml");
    let old = std::fs::read_to_string(&file).unwrap();
    let user = format!("{USERS}/{}", gateway.user(&[]).await);
    let tier = json!({"subscription_tier": "tiny"});
    gateway.administer(Method::PATCH, &user, Some(tier.clone())).await;
    let diagnostics = gateway.administer(Method::GET, "/api/v1/admin/diagnostics", None).await;
    assert_eq!(diagnostics["undefined_tiers"], json!([]));
    let config = gateway.administer(Method::GET, "/api/v1/admin/config", None).await;
    assert_eq!(config["tiers"][0]["rate"]["count"], 1, "{config}");
    assert_eq!(config["lockout"]["source_failures"], 60_000, "{config}");

    std::fs::write(&file, old.replace("[tiers.tiny]", "[tiers.small]")).unwrap();
    gateway.administer(Method::POST, "/api/v1/admin/config/reload", None).await;
    let diagnostics = gateway.administer(Method::GET, "/api/v1/admin/diagnostics", None).await;
    assert_eq!(diagnostics["undefined_tiers"], json!([{"tier": "tiny", "users": 1}]));
    assert!(diagnostics["feed"]["lag_seconds"].as_f64() < Some(60.0), "{diagnostics}");
    assert!(diagnostics["cache"]["keys"].is_u64(), "{diagnostics}");
    let (status, problem) = gateway.manage(Method::PATCH, &user, gateway.admin(), Some(tier)).await;
    assert_eq!((status.as_u16(), &problem["field"]), (400, &json!("subscription_tier")));
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
    whoever_hands_out_power_gets_none,
    methods_and_paths_are_taken_by_the_letter,
    pages_stay_whole_while_keys_are_made,
    the_running_configuration_shows_routes_and_no_secret,
    a_reload_is_effective_when_it_is_answered_and_all_or_nothing,
    a_tier_that_is_gone_is_told_of,
    a_permission_is_defined_read_and_taken_away,
);
