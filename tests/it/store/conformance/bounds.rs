use std::collections::BTreeSet;

use gatepost::store::{Change, KeyFilter, NewKey, PageRequest, StoreError, UserFilter};
use ipnet::IpNet;
use serde_json::json;

use super::{
    Backend, OTHER_SECRET, Secrets, a_key, a_user, done, first_page, load, new_key, new_role,
    new_user, patterns, refused,
};

pub async fn instance_is_constant(backend: &dyn Backend) {
    let store = backend.store();
    let (one, two) = (store.instance().await.unwrap(), store.instance().await.unwrap());
    assert_eq!(one.id, two.id);
    assert_eq!(one.id_key.as_bytes(), two.id_key.as_bytes());
    assert_ne!(one.id_key.as_bytes(), &[0; 32]);
    store.ping().await.unwrap();
}

pub async fn the_secret_is_claimed_once(backend: &dyn Backend) {
    let store = backend.store();
    assert_eq!(store.instance().await.unwrap().secret_fingerprint, None);
    store.claim_secret().await.unwrap();
    let claimed = store.instance().await.unwrap().secret_fingerprint;
    assert!(claimed.is_some());
    store.claim_secret().await.unwrap();
    let stranger = backend.open_with(Secrets { current: OTHER_SECRET, previous: None });
    let error = stranger.claim_secret().await.unwrap_err();
    assert!(matches!(error, StoreError::Incompatible(_)), "{error}");
    assert_eq!(store.instance().await.unwrap().secret_fingerprint, claimed);
}

pub async fn micros_survive(backend: &dyn Backend) {
    let store = backend.store();
    let user = a_user(store, "ada@example.com").await;
    for at in [
        "2026-11-05T06:07:08.090807Z",
        "1969-12-31T23:59:59.999999Z",
        "9000-01-01T00:00:00.000001Z",
    ] {
        let at = at.parse().unwrap();
        let key = NewKey { expires_at: Some(at), ..new_key(user.id) };
        done(store, Change::CreateKey(key.clone())).await;
        assert_eq!(load(store, &key).await.expires_at, Some(at));
        assert_eq!(store.key(key.id).await.unwrap().unwrap().expires_at, Some(at));
    }
}

pub async fn pages_are_stable_under_inserts(backend: &dyn Backend) {
    let store = backend.store();
    for name in ["b", "d", "f", "h"] {
        done(store, Change::CreateRole(new_role(&format!("zz-{name}"), &[]))).await;
    }
    let page = |after: &str| PageRequest { limit: 2, after: Some(after.into()) };
    let first = store.roles(&page("zz-")).await.unwrap();
    // One lands on the page that was read, one on the next.
    for name in ["a", "e"] {
        done(store, Change::CreateRole(new_role(&format!("zz-{name}"), &[]))).await;
    }
    let second = store.roles(&page(&first.next.unwrap())).await.unwrap();
    let third = store.roles(&page(&second.next.unwrap())).await.unwrap();
    let names = first.rows.iter().chain(&second.rows).chain(&third.rows);
    let names: Vec<_> = names.map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["zz-b", "zz-d", "zz-e", "zz-f", "zz-h"], "none twice, none lost");
    assert_eq!(third.next, None);
}

pub async fn every_row_is_on_one_page(backend: &dyn Backend) {
    let store = backend.store();
    let user = a_user(store, "ada@example.com").await;
    for _ in 0..5 {
        done(store, Change::CreateKey(new_key(user.id))).await;
    }
    let mut request = first_page(2);
    let mut ids = Vec::new();
    loop {
        let page = store.keys(&KeyFilter::default(), &request).await.unwrap();
        ids.extend(page.rows.iter().map(|key| key.id));
        let Some(next) = page.next else { break };
        request.after = Some(next);
    }
    assert_eq!(ids.len(), 5);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 5);

    let unknown = PageRequest { limit: 2, after: Some("'; --".into()) };
    let error = store.keys(&KeyFilter::default(), &unknown).await.unwrap_err();
    assert!(matches!(error, StoreError::Invalid(_)), "{error}");
}

pub async fn names_of_any_script_survive(backend: &dyn Backend) {
    let store = backend.store();
    let mut user = new_user("jürgen@例え.jp");
    user.display_name = Some("Jürgen 🦀 \u{202e}مرحبا".into());
    done(store, Change::CreateUser(user.clone())).await;
    let key = NewKey { name: "ключ\n\t\"x\"".into(), ..new_key(user.id) };
    done(store, Change::CreateKey(key.clone())).await;
    assert_eq!(store.user(user.id).await.unwrap().unwrap().display_name, user.display_name);
    assert_eq!(*load(store, &key).await.name, key.name);
    let email = Some("JÜRGEN@例え.jp".into());
    let filter = UserFilter { email, ..UserFilter::default() };
    assert_eq!(store.users(&filter, &first_page(10)).await.unwrap().rows.len(), 1);
}

pub async fn names_that_look_like_sql_are_names(backend: &dyn Backend) {
    let store = backend.store();
    let user = a_user(store, "ada@example.com").await;
    for name in ["'; DROP TABLE users; --", "$1", "?1", "%", "a' OR '1'='1", "\\", "NULL"] {
        done(store, Change::CreateRole(new_role(name, &["orders:read"]))).await;
        done(store, Change::AddRoles { user: user.id, roles: vec![name.into()] }).await;
        assert_eq!(store.role(name).await.unwrap().unwrap().name, name);
        let filter = UserFilter { role: Some(name.into()), ..UserFilter::default() };
        assert_eq!(store.users(&filter, &first_page(10)).await.unwrap().rows.len(), 1);
        done(store, Change::DeleteRole { name: name.into() }).await;
    }
    assert!(store.user(user.id).await.unwrap().unwrap().roles.is_empty());
}

pub async fn what_does_not_fit_is_refused_with_the_reason(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    let fresh = || new_key(key.user_id);
    let megabyte = || "x".repeat(1 << 20);
    let networks: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(); 201];
    let user = |email: &str| new_user(email);
    let named = |name: Option<String>| {
        let mut user = new_user("ben@example.com");
        user.display_name = name;
        user
    };
    for (change, word) in [
        (Change::CreateUser(user("")), "email"),
        (Change::CreateUser(user("nobody")), "email"),
        (Change::CreateUser(user(&format!("a@{}", megabyte()))), "email"),
        (Change::CreateUser(named(Some(String::new()))), "display name"),
        (Change::CreateUser(named(Some(megabyte()))), "display name"),
        (Change::CreateRole(new_role("", &[])), "role's name"),
        (Change::CreateRole(new_role(&megabyte(), &[])), "role's name"),
        (Change::CreateKey(NewKey { name: megabyte(), ..fresh() }), "key's name"),
        (Change::CreateKey(NewKey { rate: Some(megabyte()), ..fresh() }), "rate"),
        (Change::CreateKey(NewKey { metadata: Some(json!(megabyte())), ..fresh() }), "metadata"),
        (Change::CreateKey(NewKey { allowed_ips: networks, ..fresh() }), "networks"),
        (
            Change::CreateKey(NewKey { permissions: patterns(&["a:b"; 201]), ..fresh() }),
            "permissions",
        ),
        (Change::LockUser { id: key.user_id, until: None, reason: Some(megabyte()) }, "reason"),
    ] {
        let error = refused(store, change).await;
        assert!(matches!(error, StoreError::Invalid(_)), "{word}: {error:?}");
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

pub async fn nul_is_refused(backend: &dyn Backend) {
    let store = backend.store();
    let user = a_user(store, "ada@example.com").await;
    let key = NewKey { name: "a\0b".into(), ..new_key(user.id) };
    for change in [
        Change::CreateUser(new_user("b\0en@example.com")),
        Change::CreateRole(new_role("a\0b", &[])),
        Change::CreateKey(key),
    ] {
        let error = refused(store, change).await;
        assert!(matches!(error, StoreError::Invalid(_)), "{error:?}");
    }
}
