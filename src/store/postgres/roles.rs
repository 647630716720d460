//! Roles and permissions.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;

use super::query::{Select, one, run};
use crate::key::{Pattern, Permission};
use crate::store::{
    Actor, NewPermission, NewRole, Page, PageRequest, PermissionRow, RolePatch, RoleRow,
    StoreError, stored,
};

const SELECT: &str = "
    SELECT r.name, r.description, r.built_in, r.created_at, r.updated_at,
           ARRAY(SELECT pattern FROM role_permissions WHERE role = r.name ORDER BY pattern)
               AS permissions
      FROM roles r";

const SELECT_PERMISSION: &str =
    "SELECT name, category, description, built_in, created_at FROM permissions";

pub(super) async fn find(db: &ClientWrapper, name: &str) -> Result<Option<RoleRow>, StoreError> {
    one(db, &format!("{SELECT} WHERE r.name = $1"), &[&name], read).await
}

pub(super) async fn list(
    db: &ClientWrapper,
    page: &PageRequest,
) -> Result<Page<RoleRow>, StoreError> {
    let rows = Select::new(format!("{SELECT} WHERE true"))
        .and("r.name > ?", page.after.clone())
        .rows(db, "r.name", page.rows_to_read(), read)
        .await?;
    Ok(Page::cut(rows, page, |role| role.name.clone()))
}

pub(super) async fn find_permission(
    db: &ClientWrapper,
    name: &str,
) -> Result<Option<PermissionRow>, StoreError> {
    one(db, &format!("{SELECT_PERMISSION} WHERE name = $1"), &[&name], read_permission).await
}

pub(super) async fn list_permissions(
    db: &ClientWrapper,
    page: &PageRequest,
) -> Result<Page<PermissionRow>, StoreError> {
    let rows = Select::new(format!("{SELECT_PERMISSION} WHERE true"))
        .and("name > ?", page.after.clone())
        .rows(db, "name", page.rows_to_read(), read_permission)
        .await?;
    Ok(Page::cut(rows, page, |permission| permission.name.to_string()))
}

pub(super) async fn create(
    db: &ClientWrapper,
    role: &NewRole,
    by: &Actor,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO roles (name, description, created_at, updated_at)
               VALUES ($1, $2, $3, $3)";
    run(db, sql, &[&role.name, &role.description, &by.at]).await?;
    grant(db, &role.name, &role.permissions).await
}

pub(super) async fn update(
    db: &ClientWrapper,
    name: &str,
    patch: RolePatch,
    by: &Actor,
) -> Result<(), StoreError> {
    let mut role = changeable(db, name).await?;
    patch.apply(&mut role);
    let sql = "UPDATE roles SET description = $2, updated_at = $3 WHERE name = $1";
    run(db, sql, &[&name, &role.description, &by.at]).await?;
    run(db, "DELETE FROM role_permissions WHERE role = $1", &[&name]).await?;
    grant(db, name, &role.permissions).await
}

/// Takes it from everybody who holds it, too.
pub(super) async fn delete(db: &ClientWrapper, name: &str) -> Result<(), StoreError> {
    changeable(db, name).await?;
    run(db, "DELETE FROM user_roles WHERE role = $1", &[&name]).await?;
    run(db, "DELETE FROM roles WHERE name = $1", &[&name]).await?;
    Ok(())
}

pub(super) async fn create_permission(
    db: &ClientWrapper,
    permission: &NewPermission,
    by: &Actor,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO permissions (name, category, description, created_at)
               VALUES ($1, $2, $3, $4)";
    let NewPermission { name, category, description } = permission;
    run(db, sql, &[&name.as_str(), category, description, &by.at]).await?;
    Ok(())
}

pub(super) async fn delete_permission(
    db: &ClientWrapper,
    name: &Permission,
) -> Result<(), StoreError> {
    match find_permission(db, name.as_str()).await? {
        None => Err(StoreError::NotFound { what: "permission" }),
        Some(row) if row.built_in => {
            Err(StoreError::Protected("a built-in permission cannot be deleted"))
        }
        Some(_) => {
            let sql = "DELETE FROM permissions WHERE name = $1";
            run(db, sql, &[&name.as_str()]).await.map(drop)
        }
    }
}

async fn changeable(db: &ClientWrapper, name: &str) -> Result<RoleRow, StoreError> {
    match find(db, name).await? {
        None => Err(StoreError::NotFound { what: "role" }),
        Some(role) if role.built_in => {
            Err(StoreError::Protected("a built-in role cannot be changed"))
        }
        Some(role) => Ok(role),
    }
}

async fn grant(db: &ClientWrapper, role: &str, patterns: &[Pattern]) -> Result<(), StoreError> {
    let patterns: Vec<_> = patterns.iter().map(Pattern::as_str).collect();
    let sql = "INSERT INTO role_permissions (role, pattern) SELECT $1, unnest($2::text[])
               ON CONFLICT DO NOTHING";
    run(db, sql, &[&role, &patterns]).await?;
    Ok(())
}

fn read(row: &Row) -> Result<RoleRow, StoreError> {
    Ok(RoleRow {
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        permissions: stored::patterns(row.try_get("permissions")?)?,
        built_in: row.try_get("built_in")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn read_permission(row: &Row) -> Result<PermissionRow, StoreError> {
    Ok(PermissionRow {
        name: stored::permission(row.try_get("name")?)?,
        category: row.try_get("category")?,
        description: row.try_get("description")?,
        built_in: row.try_get("built_in")?,
        created_at: row.try_get("created_at")?,
    })
}
