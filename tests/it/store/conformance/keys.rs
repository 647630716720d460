use gatepost::store::{Change, KeyFilter, KeyPatch, NewKey, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::{
    Backend, a_key, a_user, by_command_line, commit, done, first_page, load, new_key, new_role,
    new_user, patterns, refused,
};

pub async fn a_key_is_loaded_with_its_owner_and_roles(backend: &dyn Backend) {
    let store = backend.store();
    done(store, Change::CreateRole(new_role("clerk", &["orders:read", "orders:create"]))).await;
    let mut user = new_user("ada@example.com");
    user.tier = Some("pro".into());
    user.roles = vec!["clerk".into(), "auditor".into()];
    done(store, Change::CreateUser(user.clone())).await;
    let mut key = new_key(user.id);
    key.permissions = patterns(&["orders:read"]);
    key.allowed_ips = vec!["10.1.2.3/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    key.expires_at = Some("2031-01-01T00:00:00Z".parse().unwrap());
    done(store, Change::CreateKey(key.clone())).await;

    let record = load(store, &key).await;
    assert_eq!(record.id, key.id);
    assert_eq!(record.lookup_id, key.lookup_id);
    assert!(record.digest == key.digest);
    assert_eq!(record.permissions.patterns(), key.permissions);
    let networks: Vec<_> = record.allowed_ips.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "2001:db8::/32"], "networks, without host bits");
    assert_eq!(record.expires_at, key.expires_at);
    assert!(!record.disabled && record.revoked_at.is_none());
    assert_eq!(record.owner.id, user.id);
    assert_eq!(record.owner.tier.as_deref(), Some("pro"));
    assert_eq!(
        record.owner.roles.iter().map(|role| &**role).collect::<Vec<_>>(),
        ["auditor", "clerk"]
    );
    assert!(record.owner.grants.cover(&patterns(&["orders:create"])[0]));
}

pub async fn an_unknown_key_is_none(backend: &dyn Backend) {
    let store = backend.store();
    let key = new_key(Uuid::now_v7());
    assert!(store.load_key(&key.lookup_id.unwrap()).await.unwrap().is_none());
    assert!(store.load_imported(&key.digest).await.unwrap().is_none());
    assert!(store.key(key.id).await.unwrap().is_none());
    for change in [
        Change::RevokeKey { id: key.id },
        Change::UpdateKey { id: key.id, patch: KeyPatch::default() },
    ] {
        let error = refused(store, change).await;
        assert!(matches!(error, StoreError::NotFound { what: "key" }), "{error}");
    }
}

pub async fn a_key_patch_changes_what_it_names(backend: &dyn Backend) {
    let store = backend.store();
    let user = a_user(store, "ada@example.com").await;
    let mut key = new_key(user.id);
    key.rate = Some("5/s".into());
    key.metadata = Some(json!({ "team": "ops" }));
    done(store, Change::CreateKey(key.clone())).await;

    let patch = KeyPatch {
        name: Some("desktop".into()),
        permissions: Some(patterns(&["orders:*"])),
        rate: Some(None),
        disabled: Some(true),
        ..KeyPatch::default()
    };
    done(store, Change::UpdateKey { id: key.id, patch }).await;

    let row = store.key(key.id).await.unwrap().unwrap();
    assert_eq!((row.name.as_str(), row.rate, row.disabled), ("desktop", None, true));
    assert_eq!(row.permissions, patterns(&["orders:*"]));
    assert_eq!(row.metadata, Some(json!({ "team": "ops" })), "absent");
    assert!(load(store, &key).await.disabled);
}

pub async fn revoked_is_sticky(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    let first = by_command_line();
    store.commit(Change::RevokeKey { id: key.id }, &first).await.unwrap();
    let mut later = by_command_line();
    later.at += SignedDuration::from_hours(1);
    store.commit(Change::RevokeKey { id: key.id }, &later).await.unwrap();
    done(store, Change::DeleteUser { id: key.user_id }).await;
    assert_eq!(load(store, &key).await.revoked_at, Some(first.at), "the first time stands");
}

pub async fn a_revoked_key_cannot_be_changed(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    done(store, Change::RevokeKey { id: key.id }).await;
    let new = new_key(key.user_id);
    let patch = KeyPatch { disabled: Some(false), ..KeyPatch::default() };
    for change in [
        Change::UpdateKey { id: key.id, patch },
        Change::RotateKey { id: key.id, new, old_expires_at: Timestamp::MAX },
    ] {
        let error = refused(store, change).await;
        assert!(matches!(error, StoreError::Protected(_)), "{error}");
    }
    assert!(load(store, &key).await.revoked_at.is_some());
}

async fn rotate(backend: &dyn Backend, old: &NewKey, old_expires_at: Timestamp) -> NewKey {
    let new = new_key(old.user_id);
    let change = Change::RotateKey { id: old.id, new: new.clone(), old_expires_at };
    done(backend.store(), change).await;
    new
}

pub async fn an_overlap_ends_the_old_key_but_never_later(backend: &dyn Backend) {
    let store = backend.store();
    let old = a_key(store).await;
    let soon = "2030-01-01T00:00:00Z".parse().unwrap();
    let late = "2040-01-01T00:00:00Z".parse().unwrap();
    let new = rotate(backend, &old, soon).await;
    assert_eq!(load(store, &old).await.expires_at, Some(soon));
    assert_eq!(store.key(new.id).await.unwrap().unwrap().rotated_from, Some(old.id));
    assert!(load(store, &new).await.revoked_at.is_none());

    rotate(backend, &old, late).await;
    assert_eq!(load(store, &old).await.expires_at, Some(soon), "never later than it was");
}

pub async fn without_overlap_the_old_key_is_revoked(backend: &dyn Backend) {
    let store = backend.store();
    let old = a_key(store).await;
    let new = rotate(backend, &old, Timestamp::UNIX_EPOCH).await;
    assert!(load(store, &old).await.revoked_at.is_some());
    assert!(load(store, &new).await.revoked_at.is_none());
}

pub async fn rotating_does_not_enable(backend: &dyn Backend) {
    let store = backend.store();
    let old = a_key(store).await;
    let patch = KeyPatch { disabled: Some(true), ..KeyPatch::default() };
    done(store, Change::UpdateKey { id: old.id, patch }).await;
    let new = rotate(backend, &old, "2030-01-01T00:00:00Z".parse().unwrap()).await;
    assert!(load(store, &new).await.disabled);
}

pub async fn imported_keys_are_found_by_digest(backend: &dyn Backend) {
    let store = backend.store();
    let minted = a_key(store).await;
    let imported = NewKey { lookup_id: None, ..new_key(minted.user_id) };
    done(store, Change::CreateKey(imported.clone())).await;

    let record = store.load_imported(&imported.digest).await.unwrap().unwrap();
    assert_eq!((record.id, record.lookup_id), (imported.id, None));
    assert!(store.load_imported(&minted.digest).await.unwrap().is_none(), "only imported ones");
    assert!(store.imported_digests().await.unwrap() == [imported.digest]);

    done(store, Change::RevokeKey { id: imported.id }).await;
    assert!(store.imported_digests().await.unwrap().is_empty());
    assert!(store.load_imported(&imported.digest).await.unwrap().unwrap().revoked_at.is_some());
}

pub async fn ids_and_digests_are_unique(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    let fresh = || new_key(key.user_id);
    let same_id = NewKey { id: key.id, ..fresh() };
    let same_lookup_id = NewKey { lookup_id: key.lookup_id, ..fresh() };
    let same_digest = NewKey { digest: key.digest, ..fresh() };
    for (twin, expected) in
        [(same_id, "id"), (same_lookup_id, "lookup_id"), (same_digest, "key_hash")]
    {
        match commit(store, Change::CreateKey(twin)).await {
            Err(StoreError::Conflict { field }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}

pub async fn keys_are_filtered(backend: &dyn Backend) {
    let store = backend.store();
    let mine = a_key(store).await;
    let ben = a_user(store, "ben@example.com").await;
    let theirs = new_key(ben.id);
    done(store, Change::CreateKey(theirs.clone())).await;
    done(store, Change::RevokeKey { id: theirs.id }).await;

    let found = async |filter: KeyFilter| {
        let page = store.keys(&filter, &first_page(10)).await.unwrap();
        page.rows.into_iter().map(|key| key.id).collect::<Vec<_>>()
    };
    let all = KeyFilter::default();
    assert_eq!(found(all.clone()).await, [mine.id, theirs.id]);
    assert_eq!(found(KeyFilter { user_id: Some(ben.id), ..all.clone() }).await, [theirs.id]);
    assert_eq!(found(KeyFilter { lookup_id: mine.lookup_id, ..all.clone() }).await, [mine.id]);
    assert_eq!(found(KeyFilter { revoked: Some(false), ..all.clone() }).await, [mine.id]);
    assert!(found(KeyFilter { environment: Some("test".into()), ..all }).await.is_empty());
}

pub async fn a_key_needs_a_living_owner(backend: &dyn Backend) {
    let store = backend.store();
    let gone = a_user(store, "ada@example.com").await;
    done(store, Change::DeleteUser { id: gone.id }).await;
    for owner in [gone.id, Uuid::now_v7()] {
        let error = refused(store, Change::CreateKey(new_key(owner))).await;
        assert!(matches!(error, StoreError::NotFound { what: "user" }), "{error}");
    }
}
