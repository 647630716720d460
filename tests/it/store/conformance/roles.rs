use gatepost::key::Permission;
use gatepost::store::{Change, NewPermission, RolePatch, StoreError};

use super::{
    Backend, a_key, a_user, done, first_page, load, new_role, new_user, patterns, refused,
};

pub async fn a_role_changes_what_its_holders_keys_may_do(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    let read = Permission::parse("orders:read").unwrap();
    let delete = Permission::parse("orders:delete").unwrap();
    done(store, Change::CreateRole(new_role("clerk", &["orders:read"]))).await;
    done(store, Change::AddRoles { user: key.user_id, roles: vec!["clerk".into()] }).await;

    let grants = load(store, &key).await.owner.grants;
    assert!(grants.allow(&read) && !grants.allow(&delete));

    let patch =
        RolePatch { permissions: Some(patterns(&["orders:delete"])), ..RolePatch::default() };
    done(store, Change::UpdateRole { name: "clerk".into(), patch }).await;
    let grants = load(store, &key).await.owner.grants;
    assert!(!grants.allow(&read) && grants.allow(&delete));
}

pub async fn a_deleted_role_is_taken_from_its_holders(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    done(store, Change::CreateRole(new_role("clerk", &["orders:*"]))).await;
    done(store, Change::AddRoles { user: key.user_id, roles: vec!["clerk".into()] }).await;
    done(store, Change::DeleteRole { name: "clerk".into() }).await;

    assert!(store.role("clerk").await.unwrap().is_none());
    let owner = load(store, &key).await.owner;
    assert!(owner.roles.is_empty() && owner.grants.patterns().is_empty());
}

pub async fn built_in_is_protected(backend: &dyn Backend) {
    let store = backend.store();
    let admin = store.role("admin").await.unwrap().expect("the role admin is built in");
    assert!(admin.built_in);
    assert_eq!(admin.permissions, patterns(&["*"]));
    let permissions = store.permissions(&first_page(100)).await.unwrap().rows;
    assert_eq!(permissions.iter().filter(|permission| permission.built_in).count(), 24);

    let name = Permission::parse("users:read").unwrap();
    for change in [
        Change::UpdateRole { name: "admin".into(), patch: RolePatch::default() },
        Change::DeleteRole { name: "admin".into() },
        Change::DeletePermission { name },
    ] {
        let error = refused(store, change).await;
        assert!(matches!(error, StoreError::Protected(_)), "{error}");
    }
}

pub async fn role_and_permission_names_are_unique(backend: &dyn Backend) {
    let store = backend.store();
    let permission = NewPermission {
        name: Permission::parse("orders:read").unwrap(),
        category: Some("orders".into()),
        description: None,
    };
    done(store, Change::CreatePermission(permission.clone())).await;
    for change in
        [Change::CreateRole(new_role("admin", &[])), Change::CreatePermission(permission.clone())]
    {
        let error = refused(store, change).await;
        assert!(matches!(error, StoreError::Conflict { field: "name" }), "{error}");
    }
    done(store, Change::DeletePermission { name: permission.name.clone() }).await;
    done(store, Change::CreatePermission(permission)).await;
}

pub async fn unknown_roles_are_named(backend: &dyn Backend) {
    let store = backend.store();
    let ada = a_user(store, "ada@example.com").await;
    let mut ben = new_user("ben@example.com");
    ben.roles = vec!["developer".into(), "wizard".into()];
    for change in [
        Change::CreateUser(ben.clone()),
        Change::AddRoles { user: ada.id, roles: vec!["wizard".into()] },
        Change::RemoveRole { user: ada.id, role: "developer".into() },
        Change::UpdateRole { name: "wizard".into(), patch: RolePatch::default() },
        Change::DeleteRole { name: "wizard".into() },
    ] {
        let error = refused(store, change).await;
        assert!(matches!(error, StoreError::NotFound { what: "role" }), "{error}");
    }
    assert!(store.user(ben.id).await.unwrap().is_none(), "no half of a user");
}
