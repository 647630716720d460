use gatepost::store::{Change, StoreError, UserFilter, UserPatch};
use uuid::Uuid;

use super::{Backend, a_key, a_user, commit, done, first_page, load, new_key, new_user, refused};

pub async fn a_new_user_is_found(backend: &dyn Backend) {
    let store = backend.store();
    let mut user = new_user("Ada@Example.com");
    user.display_name = Some("Ada".into());
    user.tier = Some("pro".into());
    user.roles = vec!["developer".into(), "auditor".into()];
    done(store, Change::CreateUser(user.clone())).await;

    let row = store.user(user.id).await.unwrap().unwrap();
    assert_eq!(row.email, "Ada@Example.com", "as it was given");
    assert_eq!(row.display_name.as_deref(), Some("Ada"));
    assert_eq!(row.subscription_tier.as_deref(), Some("pro"));
    assert_eq!(row.roles, ["auditor", "developer"]);
    assert!(!row.is_locked && row.deleted_at.is_none());
}

pub async fn emails_are_unique_whatever_their_case(backend: &dyn Backend) {
    let store = backend.store();
    a_user(store, "émile@example.com").await;
    let ada = a_user(store, "ada@example.com").await;
    for email in ["ada@example.com", "ADA@Example.COM", "Émile@example.com"] {
        let error = refused(store, Change::CreateUser(new_user(email))).await;
        assert!(matches!(error, StoreError::Conflict { field: "email" }), "{email}: {error}");
    }
    let patch = UserPatch { email: Some("ÉMILE@example.com".into()), ..UserPatch::default() };
    let error = refused(store, Change::UpdateUser { id: ada.id, patch }).await;
    assert!(matches!(error, StoreError::Conflict { field: "email" }), "{error}");
}

pub async fn a_patch_changes_what_it_names(backend: &dyn Backend) {
    let store = backend.store();
    let mut user = new_user("ada@example.com");
    user.display_name = Some("Ada".into());
    user.tier = Some("free".into());
    user.roles = vec!["developer".into()];
    done(store, Change::CreateUser(user.clone())).await;

    let patch = UserPatch {
        display_name: Some(None),
        roles: Some(vec!["auditor".into()]),
        ..UserPatch::default()
    };
    done(store, Change::UpdateUser { id: user.id, patch }).await;

    let row = store.user(user.id).await.unwrap().unwrap();
    assert_eq!(row.display_name, None, "null");
    assert_eq!(row.roles, ["auditor"], "a new value");
    assert_eq!(row.email, "ada@example.com", "absent");
    assert_eq!(row.subscription_tier.as_deref(), Some("free"), "absent");
}

pub async fn a_deleted_user_loses_keys_and_frees_the_email(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    done(store, Change::DeleteUser { id: key.user_id }).await;

    let record = load(store, &key).await;
    assert!(record.revoked_at.is_some());
    assert!(record.owner.disabled);
    assert!(store.user(key.user_id).await.unwrap().unwrap().deleted_at.is_some());
    let listed = store.users(&UserFilter::default(), &first_page(10)).await.unwrap();
    assert!(listed.rows.is_empty(), "a deleted user is not listed");
    let error = refused(store, Change::DeleteUser { id: key.user_id }).await;
    assert!(matches!(error, StoreError::NotFound { what: "user" }), "{error}");
    a_user(store, "ADA@example.com").await;
}

pub async fn a_lock_is_seen_by_loads_until_the_unlock(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    let until = Some("2030-01-02T03:04:05.678901Z".parse().unwrap());
    let reason = Some("lost laptop".into());
    done(store, Change::LockUser { id: key.user_id, until, reason }).await;

    assert_eq!(load(store, &key).await.owner.lock.unwrap().until, until);
    let row = store.user(key.user_id).await.unwrap().unwrap();
    assert!(row.is_locked);
    assert_eq!(row.lock_reason.as_deref(), Some("lost laptop"));

    done(store, Change::UnlockUser { id: key.user_id }).await;
    assert!(load(store, &key).await.owner.lock.is_none());
}

pub async fn the_last_admin_stays(backend: &dyn Backend) {
    let store = backend.store();
    let mut admin = new_user("root@example.com");
    admin.roles = vec!["admin".into()];
    done(store, Change::CreateUser(admin.clone())).await;
    // A deleted admin and a locked one are no help.
    let mut deleted = new_user("old@example.com");
    deleted.roles = vec!["admin".into()];
    done(store, Change::CreateUser(deleted.clone())).await;
    done(store, Change::DeleteUser { id: deleted.id }).await;
    let mut locked = new_user("locked@example.com");
    locked.roles = vec!["admin".into()];
    done(store, Change::CreateUser(locked.clone())).await;
    done(store, Change::LockUser { id: locked.id, until: None, reason: None }).await;

    let id = admin.id;
    let no_roles = UserPatch { roles: Some(Vec::new()), ..UserPatch::default() };
    for change in [
        Change::RemoveRole { user: id, role: "admin".into() },
        Change::UpdateUser { id, patch: no_roles },
        Change::DeleteUser { id },
        Change::LockUser { id, until: None, reason: None },
    ] {
        let error = refused(store, change).await;
        assert!(matches!(error, StoreError::Protected(_)), "{error}");
    }
    assert_eq!(store.user(id).await.unwrap().unwrap().roles, ["admin"]);
}

pub async fn an_admin_can_go_when_there_is_another(backend: &dyn Backend) {
    let store = backend.store();
    assert!(!store.has_admin().await.unwrap());
    let mut ids = Vec::new();
    for email in ["one@example.com", "two@example.com"] {
        let mut user = new_user(email);
        user.roles = vec!["admin".into()];
        done(store, Change::CreateUser(user.clone())).await;
        ids.push(user.id);
    }
    done(store, Change::RemoveRole { user: ids[0], role: "admin".into() }).await;
    assert!(store.user(ids[0]).await.unwrap().unwrap().roles.is_empty());
    assert!(store.has_admin().await.unwrap());
}

pub async fn bootstrap_happens_once_unless_again(backend: &dyn Backend) {
    let store = backend.store();
    let bootstrap = |email: &str, again| {
        let user = new_user(email);
        let key = new_key(user.id);
        Change::Bootstrap { user, key, again }
    };
    done(store, bootstrap("one@example.com", false)).await;
    assert!(store.has_admin().await.unwrap());

    let error = refused(store, bootstrap("two@example.com", false)).await;
    assert!(matches!(error, StoreError::Conflict { field: "admin" }), "{error}");
    done(store, bootstrap("two@example.com", true)).await;

    let actions = backend.texts("SELECT action FROM audit_log ORDER BY seq").await;
    assert_eq!(actions, ["bootstrap", "bootstrap", "bootstrap_again", "bootstrap_again"]);
}

pub async fn unknown_users_are_not_found(backend: &dyn Backend) {
    let store = backend.store();
    let id = Uuid::now_v7();
    assert!(store.user(id).await.unwrap().is_none());
    for change in [
        Change::UpdateUser { id, patch: UserPatch::default() },
        Change::DeleteUser { id },
        Change::LockUser { id, until: None, reason: None },
        Change::UnlockUser { id },
        Change::AddRoles { user: id, roles: vec!["admin".into()] },
        Change::RemoveRole { user: id, role: "admin".into() },
    ] {
        let error = commit(store, change).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { what: "user" }), "{error}");
    }
}

pub async fn users_are_filtered(backend: &dyn Backend) {
    let store = backend.store();
    let ada = a_user(store, "ada@example.com").await;
    let ben = a_user(store, "ben@example.com").await;
    done(store, Change::AddRoles { user: ben.id, roles: vec!["auditor".into()] }).await;
    done(store, Change::LockUser { id: ada.id, until: None, reason: None }).await;

    let found = async |filter: UserFilter| {
        let page = store.users(&filter, &first_page(10)).await.unwrap();
        page.rows.into_iter().map(|user| user.id).collect::<Vec<_>>()
    };
    let all = UserFilter::default();
    assert_eq!(found(all.clone()).await, [ada.id, ben.id]);
    let email = Some("ADA@example.com".into());
    assert_eq!(found(UserFilter { email, ..all.clone() }).await, [ada.id]);
    let role = Some("auditor".into());
    assert_eq!(found(UserFilter { role, ..all }).await, [ben.id]);
    let now = gatepost::clock::now();
    let locked = |at| UserFilter { locked_at: Some(at), ..UserFilter::default() };
    let unlocked = |at| UserFilter { unlocked_at: Some(at), ..UserFilter::default() };
    assert_eq!(found(locked(now)).await, [ada.id]);
    assert_eq!(found(unlocked(now)).await, [ben.id]);
    let until = Some(now + std::time::Duration::from_secs(60));
    done(store, Change::LockUser { id: ben.id, until, reason: None }).await;
    let later = now + std::time::Duration::from_secs(120);
    assert_eq!(found(locked(now)).await, [ada.id, ben.id]);
    assert_eq!(found(locked(later)).await, [ada.id], "the other one has run out");
    assert_eq!(found(unlocked(later)).await, [ben.id]);
}
