//! Roles and permissions.

use rusqlite::{Connection, Row, params, params_from_iter};

use super::select::Select;
use super::values::{List, Micros, all, one, run};
use crate::key::{Pattern, Permission};
use crate::store::{
    Actor, NewPermission, NewRole, Page, PageRequest, PermissionRow, RolePatch, RoleRow,
    StoreError, stored,
};

const SELECT: &str = "
    SELECT r.name, r.description, r.built_in, r.created_at, r.updated_at,
           (SELECT json_group_array(pattern) FROM
               (SELECT pattern FROM role_permissions WHERE role = r.name ORDER BY pattern))
               AS permissions
      FROM roles r";

const SELECT_PERMISSION: &str =
    "SELECT name, category, description, built_in, created_at FROM permissions";

pub(super) fn find(db: &Connection, name: &str) -> Result<Option<RoleRow>, StoreError> {
    one(db, &format!("{SELECT} WHERE r.name = ?1"), [name], read)
}

pub(super) fn list(db: &Connection, page: &PageRequest) -> Result<Page<RoleRow>, StoreError> {
    let (sql, values) = Select::new(format!("{SELECT} WHERE true"))
        .and("r.name > ?", page.after.clone())
        .ordered("r.name", page.rows_to_read());
    let rows = all(db, &sql, params_from_iter(values), read)?;
    Ok(Page::cut(rows, page, |role| role.name.clone()))
}

pub(super) fn find_permission(
    db: &Connection,
    name: &str,
) -> Result<Option<PermissionRow>, StoreError> {
    one(db, &format!("{SELECT_PERMISSION} WHERE name = ?1"), [name], read_permission)
}

pub(super) fn list_permissions(
    db: &Connection,
    page: &PageRequest,
) -> Result<Page<PermissionRow>, StoreError> {
    let (sql, values) = Select::new(format!("{SELECT_PERMISSION} WHERE true"))
        .and("name > ?", page.after.clone())
        .ordered("name", page.rows_to_read());
    let rows = all(db, &sql, params_from_iter(values), read_permission)?;
    Ok(Page::cut(rows, page, |permission| permission.name.to_string()))
}

pub(super) fn create(db: &Connection, role: &NewRole, by: &Actor) -> Result<(), StoreError> {
    run(
        db,
        "INSERT INTO roles (name, description, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)",
        params![role.name, role.description, Micros(by.at)],
    )?;
    grant(db, &role.name, &role.permissions)
}

pub(super) fn update(
    db: &Connection,
    name: &str,
    patch: RolePatch,
    by: &Actor,
) -> Result<(), StoreError> {
    let mut role = changeable(db, name)?;
    patch.apply(&mut role);
    run(
        db,
        "UPDATE roles SET description = ?2, updated_at = ?3 WHERE name = ?1",
        params![name, role.description, Micros(by.at)],
    )?;
    run(db, "DELETE FROM role_permissions WHERE role = ?1", [name])?;
    grant(db, name, &role.permissions)
}

/// Takes it from everybody who holds it, too.
pub(super) fn delete(db: &Connection, name: &str) -> Result<(), StoreError> {
    changeable(db, name)?;
    run(db, "DELETE FROM user_roles WHERE role = ?1", [name])?;
    run(db, "DELETE FROM roles WHERE name = ?1", [name])?;
    Ok(())
}

pub(super) fn create_permission(
    db: &Connection,
    permission: &NewPermission,
    by: &Actor,
) -> Result<(), StoreError> {
    run(
        db,
        "INSERT INTO permissions (name, category, description, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            permission.name.as_str(),
            permission.category,
            permission.description,
            Micros(by.at)
        ],
    )?;
    Ok(())
}

pub(super) fn delete_permission(db: &Connection, name: &Permission) -> Result<(), StoreError> {
    match find_permission(db, name.as_str())? {
        None => Err(StoreError::NotFound { what: "permission" }),
        Some(row) if row.built_in => {
            Err(StoreError::Protected("a built-in permission cannot be deleted"))
        }
        Some(_) => run(db, "DELETE FROM permissions WHERE name = ?1", [name.as_str()]).map(drop),
    }
}

fn changeable(db: &Connection, name: &str) -> Result<RoleRow, StoreError> {
    match find(db, name)? {
        None => Err(StoreError::NotFound { what: "role" }),
        Some(role) if role.built_in => {
            Err(StoreError::Protected("a built-in role cannot be changed"))
        }
        Some(role) => Ok(role),
    }
}

fn grant(db: &Connection, role: &str, patterns: &[Pattern]) -> Result<(), StoreError> {
    for pattern in patterns {
        let sql = "INSERT INTO role_permissions (role, pattern) VALUES (?1, ?2)
                   ON CONFLICT DO NOTHING";
        run(db, sql, [role, pattern.as_str()])?;
    }
    Ok(())
}

fn read(row: &Row<'_>) -> Result<RoleRow, StoreError> {
    Ok(RoleRow {
        name: row.get("name")?,
        description: row.get("description")?,
        permissions: stored::patterns(row.get::<_, List>("permissions")?.0)?,
        built_in: row.get("built_in")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
        updated_at: row.get::<_, Micros>("updated_at")?.0,
    })
}

fn read_permission(row: &Row<'_>) -> Result<PermissionRow, StoreError> {
    Ok(PermissionRow {
        name: stored::permission(&row.get::<_, String>("name")?)?,
        category: row.get("category")?,
        description: row.get("description")?,
        built_in: row.get("built_in")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
    })
}
