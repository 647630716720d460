use std::sync::Arc;
use std::time::Duration;

use gatepost::key::Permission;
use gatepost::store::{
    Actor, Change, FeedSubject, NewKey, NewPermission, NewUser, RolePatch, Store, StoreError,
    UserPatch,
};
use hex::encode;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Backend, a_key, a_user, commit, done, load, new_key, new_role, new_user, refused};

pub async fn every_change_is_in_the_feed_with_its_subject(backend: &dyn Backend) {
    let store = backend.store();
    let user = new_user("ada@example.com");
    let key = new_key(user.id);
    let new = new_key(user.id);
    let imported = NewKey { lookup_id: None, ..new_key(user.id) };
    let permission = Permission::parse("orders:read").unwrap();
    let of = |key: &NewKey| FeedSubject::Key(key.lookup_id.unwrap());
    let the_user = vec![FeedSubject::User(user.id)];
    let the_role = vec![FeedSubject::Role("clerk".into())];
    let old_expires_at = "2030-01-01T00:00:00Z".parse().unwrap();
    let role = "clerk".to_owned();
    let new_permission =
        NewPermission { name: permission.clone(), category: None, description: None };

    for (change, subjects) in [
        (Change::CreateUser(user.clone()), the_user.clone()),
        (Change::UpdateUser { id: user.id, patch: UserPatch::default() }, the_user.clone()),
        (Change::CreateRole(new_role("clerk", &["orders:*"])), the_role.clone()),
        (Change::AddRoles { user: user.id, roles: vec![role.clone()] }, the_user.clone()),
        (Change::RemoveRole { user: user.id, role: role.clone() }, the_user.clone()),
        (Change::UpdateRole { name: role.clone(), patch: RolePatch::default() }, the_role.clone()),
        (Change::DeleteRole { name: role }, the_role),
        (Change::CreatePermission(new_permission), vec![FeedSubject::Permission]),
        (Change::DeletePermission { name: permission }, vec![FeedSubject::Permission]),
        (Change::CreateKey(key.clone()), vec![of(&key)]),
        (Change::CreateKey(imported.clone()), vec![FeedSubject::Imported(imported.digest)]),
        (
            Change::RotateKey { id: key.id, new: new.clone(), old_expires_at },
            vec![of(&key), of(&new)],
        ),
        (Change::RevokeKey { id: new.id }, vec![of(&new)]),
        (Change::LockUser { id: user.id, until: None, reason: None }, the_user.clone()),
        (Change::UnlockUser { id: user.id }, the_user.clone()),
        (Change::DeleteUser { id: user.id }, the_user),
    ] {
        let before = store.newest_change().await.unwrap();
        let action = format!("{change:?}");
        let committed = done(store, change).await;
        let entries = store.changes_after(before, 10).await.unwrap();
        assert_eq!(committed.seq, entries.last().unwrap().seq, "{action}");
        let found: Vec<_> = entries.into_iter().map(|entry| entry.subject).collect();
        assert_eq!(found, subjects, "{action}");
    }
}

/// A busy machine may answer too late; a repeated change then finds itself done.
async fn create(store: &Arc<dyn Store>, user: NewUser) {
    loop {
        match commit(store, Change::CreateUser(user.clone())).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => return,
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Eight writers, and a reader that takes each number it has seen as final.
pub async fn feed_is_gapless_and_in_commit_order(backend: &dyn Backend) {
    const WRITERS: u64 = 8;
    const CHANGES: u64 = 10;
    let store = backend.store();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..CHANGES {
                    let user = new_user(&format!("u{writer}.{n}@example.com"));
                    create(&store, user).await;
                }
            })
        })
        .collect();

    let mut seen = 0;
    let read = async {
        while seen < WRITERS * CHANGES {
            for entry in store.changes_after(seen, 7).await.unwrap_or_default() {
                assert_eq!(entry.seq, seen + 1, "no number is skipped, and none comes late");
                seen = entry.seq;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), read).await.expect("all changes arrive");
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(store.newest_change().await.unwrap(), WRITERS * CHANGES);
}

pub async fn a_rolled_back_change_leaves_no_trace(backend: &dyn Backend) {
    let store = backend.store();
    a_user(store, "ada@example.com").await;
    let newest = store.newest_change().await.unwrap();
    let audited = backend.texts("SELECT action FROM audit_log").await.len();

    // The user goes in before the role turns out to be missing.
    let mut user = new_user("ben@example.com");
    user.roles = vec!["wizard".into()];
    refused(store, Change::CreateUser(user.clone())).await;

    assert!(store.user(user.id).await.unwrap().is_none());
    assert_eq!(store.newest_change().await.unwrap(), newest);
    assert_eq!(backend.texts("SELECT action FROM audit_log").await.len(), audited);
    assert_eq!(
        done(store, Change::UnlockUser { id: a_user(store, "c@d").await.id }).await.seq,
        newest + 2,
        "and no gap"
    );
}

pub async fn revoke_and_audit_are_one(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    let newest = store.newest_change().await.unwrap();

    backend.execute("ALTER TABLE audit_log RENAME TO audit_log_gone").await;
    refused(store, Change::RevokeKey { id: key.id }).await;
    backend.execute("ALTER TABLE audit_log_gone RENAME TO audit_log").await;
    assert!(load(store, &key).await.revoked_at.is_none(), "not audited, so not done");
    assert_eq!(store.newest_change().await.unwrap(), newest);

    done(store, Change::RevokeKey { id: key.id }).await;
    let actions = backend.texts("SELECT action FROM audit_log ORDER BY seq").await;
    assert_eq!(actions.last().map(String::as_str), Some("revoke_key"));
}

pub async fn audit_tells_who_what_before_and_after(backend: &dyn Backend) {
    let store = backend.store();
    let user = a_user(store, "ada@example.com").await;
    let by = Actor {
        user_id: Some(Uuid::now_v7()),
        key_id: Some(Uuid::now_v7()),
        ip: Some("192.0.2.7".parse().unwrap()),
        request_id: Some(Uuid::now_v7()),
        at: "2026-11-05T06:07:08.090807Z".parse().unwrap(),
    };
    let patch = UserPatch { display_name: Some(Some("Ada".into())), ..UserPatch::default() };
    store.commit(Change::UpdateUser { id: user.id, patch }, &by).await.unwrap();

    let last = async |column: &str| {
        let sql = format!("SELECT CAST({column} AS text) FROM audit_log ORDER BY seq DESC LIMIT 1");
        backend.texts(&sql).await.remove(0)
    };
    assert_eq!(last("action").await, "update_user");
    assert_eq!(last("actor_user_id").await, by.user_id.unwrap().to_string());
    assert_eq!(last("actor_key_id").await, by.key_id.unwrap().to_string());
    assert!(last("actor_ip").await.starts_with("192.0.2.7"));
    assert_eq!(last("request_id").await, by.request_id.unwrap().to_string());
    assert_eq!(last("subject_kind").await, "user");
    assert_eq!(last("subject_id").await, user.id.to_string());
    let before: serde_json::Value = serde_json::from_str(&last("before").await).unwrap();
    let after: serde_json::Value = serde_json::from_str(&last("after").await).unwrap();
    assert!(before["display_name"].is_null());
    assert_eq!(after["display_name"], "Ada");
}

pub async fn audit_holds_no_digest(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    let new = new_key(key.user_id);
    let old_expires_at = "2030-01-01T00:00:00Z".parse().unwrap();
    done(store, Change::RotateKey { id: key.id, new: new.clone(), old_expires_at }).await;
    let sql = "SELECT coalesce(CAST(before AS text), '') || coalesce(CAST(after AS text), '')
                 FROM audit_log";
    let log = backend.texts(sql).await.concat();
    assert!(log.contains(key.lookup_id.unwrap().as_str()), "the public part is there");
    for digest in [key.digest, new.digest] {
        assert!(!log.contains(&encode(digest.as_bytes())));
    }
}

pub async fn a_change_wakes_who_waits(backend: &dyn Backend) {
    let store = backend.store();
    let wake = || timeout(Duration::from_secs(30), store.wait_for_change());
    // A store may wake once for having begun to listen: changes are made until one is heard twice.
    for _ in 0..2 {
        let change = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            a_user(store, &format!("{}@example.com", Uuid::now_v7())).await;
        };
        let (woken, ()) = tokio::join!(wake(), change);
        woken.expect("woken");
    }
}
