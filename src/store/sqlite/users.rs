//! Users and the roles they hold.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params, params_from_iter};
use uuid::Uuid;

use super::select::Select;
use super::values::{Id, List, Micros, all, one, run, value};
use crate::store::change::fold_email;
use crate::store::{
    Actor, NewUser, Page, PageRequest, StoreError, UserFilter, UserPatch, UserRow, stored,
};

/// The role without whose holder nobody could administer.
pub(super) const ADMIN: &str = "admin";

const SELECT: &str = "
    SELECT u.id, u.email, u.display_name, u.subscription_tier, u.is_locked, u.locked_until,
           u.lock_reason, u.created_at, u.updated_at, u.deleted_at,
           (SELECT json_group_array(role) FROM
               (SELECT role FROM user_roles WHERE user_id = u.id ORDER BY role)) AS roles
      FROM users u";

/// A lock that has run out is none, whatever the row remembers.
const LOCKED: &str = "u.is_locked AND coalesce(u.locked_until > ?, true)";
const UNLOCKED: &str = "NOT (u.is_locked AND coalesce(u.locked_until > ?, true))";

pub(super) fn find(db: &Connection, id: Uuid) -> Result<Option<UserRow>, StoreError> {
    one(db, &format!("{SELECT} WHERE u.id = ?1"), [Id(id)], read)
}

pub(super) fn list(
    db: &Connection,
    filter: UserFilter,
    page: &PageRequest,
) -> Result<Page<UserRow>, StoreError> {
    let after = stored::cursor(page.after.as_deref())?;
    let (sql, values) = Select::new(format!("{SELECT} WHERE u.deleted_at IS NULL"))
        .and("u.email_folded = ?", filter.email.map(|email| fold_email(&email)))
        .and("u.id IN (SELECT user_id FROM user_roles WHERE role = ?)", filter.role)
        .and(LOCKED, filter.locked_at.map(Micros))
        .and(UNLOCKED, filter.unlocked_at.map(Micros))
        .and("u.id > ?", after.map(Id))
        .ordered("u.id", page.rows_to_read());
    let rows = all(db, &sql, params_from_iter(values), read)?;
    Ok(Page::cut(rows, page, |user| user.id.to_string()))
}

pub(super) fn has_admin(db: &Connection) -> Result<bool, StoreError> {
    value(
        db,
        "SELECT EXISTS (SELECT 1 FROM user_roles r JOIN users u ON u.id = r.user_id
                         WHERE r.role = ?1 AND u.deleted_at IS NULL)",
        [ADMIN],
    )
}

/// More than any configuration has.
pub(super) fn tiers_in_use(db: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT subscription_tier, count(*) FROM users
                WHERE deleted_at IS NULL AND subscription_tier IS NOT NULL
                GROUP BY subscription_tier ORDER BY subscription_tier LIMIT 1000";
    all(db, sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

pub(super) fn create(db: &Connection, user: &NewUser, by: &Actor) -> Result<(), StoreError> {
    run(
        db,
        "INSERT INTO users (id, email, email_folded, display_name, subscription_tier,
                            created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        params![
            Id(user.id),
            user.email,
            fold_email(&user.email),
            user.display_name,
            user.tier,
            Micros(by.at)
        ],
    )?;
    add_roles(db, user.id, &user.roles, by)
}

pub(super) fn update(
    db: &Connection,
    id: Uuid,
    mut patch: UserPatch,
    by: &Actor,
) -> Result<(), StoreError> {
    let mut user = present(db, id)?;
    let roles = patch.roles.take();
    patch.apply(&mut user);
    run(
        db,
        "UPDATE users SET email = ?2, email_folded = ?3, display_name = ?4, subscription_tier = ?5,
                          updated_at = ?6
          WHERE id = ?1",
        params![
            Id(id),
            user.email,
            fold_email(&user.email),
            user.display_name,
            user.subscription_tier,
            Micros(by.at)
        ],
    )?;
    let Some(roles) = roles else { return Ok(()) };
    for role in user.roles.iter().filter(|role| !roles.contains(role)) {
        remove_role(db, id, role, by)?;
    }
    add_roles(db, id, &roles, by)
}

pub(super) fn delete(db: &Connection, id: Uuid, by: &Actor) -> Result<(), StoreError> {
    present(db, id)?;
    keep_an_admin(db, id)?;
    let sql = "UPDATE users SET deleted_at = ?2, updated_at = ?2 WHERE id = ?1";
    run(db, sql, params![Id(id), Micros(by.at)])?;
    run(
        db,
        "UPDATE api_keys SET revoked_at = ?2, updated_at = ?2
          WHERE user_id = ?1 AND revoked_at IS NULL",
        params![Id(id), Micros(by.at)],
    )?;
    Ok(())
}

pub(super) fn lock(
    db: &Connection,
    id: Uuid,
    until: Option<Timestamp>,
    reason: Option<String>,
    by: &Actor,
) -> Result<(), StoreError> {
    present(db, id)?;
    keep_an_admin(db, id)?;
    run(
        db,
        "UPDATE users SET is_locked = 1, locked_until = ?2, lock_reason = ?3, locked_by = ?4,
                          updated_at = ?5
          WHERE id = ?1",
        params![Id(id), until.map(Micros), reason, by.user_id.map(Id), Micros(by.at)],
    )?;
    Ok(())
}

pub(super) fn unlock(db: &Connection, id: Uuid, by: &Actor) -> Result<(), StoreError> {
    present(db, id)?;
    run(
        db,
        "UPDATE users SET is_locked = 0, locked_until = NULL, lock_reason = NULL, locked_by = NULL,
                          updated_at = ?2
          WHERE id = ?1",
        params![Id(id), Micros(by.at)],
    )?;
    Ok(())
}

pub(super) fn add_roles(
    db: &Connection,
    id: Uuid,
    roles: &[String],
    by: &Actor,
) -> Result<(), StoreError> {
    present(db, id)?;
    for role in roles {
        let sql = "SELECT EXISTS (SELECT 1 FROM roles WHERE name = ?1)";
        if !value::<bool>(db, sql, [role])? {
            return Err(StoreError::NotFound { what: "role" });
        }
        run(
            db,
            "INSERT INTO user_roles (user_id, role, granted_at, granted_by) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            params![Id(id), role, Micros(by.at), by.user_id.map(Id)],
        )?;
    }
    touch(db, id, by)
}

pub(super) fn remove_role(
    db: &Connection,
    id: Uuid,
    role: &str,
    by: &Actor,
) -> Result<(), StoreError> {
    present(db, id)?;
    if role == ADMIN {
        keep_an_admin(db, id)?;
    }
    let sql = "DELETE FROM user_roles WHERE user_id = ?1 AND role = ?2";
    if run(db, sql, params![Id(id), role])? == 0 {
        return Err(StoreError::NotFound { what: "role" });
    }
    touch(db, id, by)
}

/// The user, who must not have been deleted.
pub(super) fn present(db: &Connection, id: Uuid) -> Result<UserRow, StoreError> {
    find(db, id)?
        .filter(|user| user.deleted_at.is_none())
        .ok_or(StoreError::NotFound { what: "user" })
}

fn touch(db: &Connection, id: Uuid, by: &Actor) -> Result<(), StoreError> {
    let sql = "UPDATE users SET updated_at = ?2 WHERE id = ?1";
    run(db, sql, params![Id(id), Micros(by.at)]).map(drop)
}

/// Refuses when nobody who can sign in would be left to administer.
fn keep_an_admin(db: &Connection, id: Uuid) -> Result<(), StoreError> {
    let is_last: bool = value(
        db,
        "SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = ?1 AND role = ?2)
            AND NOT EXISTS (SELECT 1 FROM user_roles r JOIN users u ON u.id = r.user_id
                             WHERE r.role = ?2 AND u.id <> ?1
                               AND u.deleted_at IS NULL AND u.is_locked = 0)",
        params![Id(id), ADMIN],
    )?;
    if is_last { Err(StoreError::Protected("the last admin cannot go")) } else { Ok(()) }
}

fn read(row: &Row<'_>) -> Result<UserRow, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.get::<_, Option<Micros>>(column)?.map(|at| at.0));
    Ok(UserRow {
        id: row.get::<_, Id>("id")?.0,
        email: row.get("email")?,
        display_name: row.get("display_name")?,
        subscription_tier: row.get("subscription_tier")?,
        is_locked: row.get("is_locked")?,
        locked_until: time("locked_until")?,
        lock_reason: row.get("lock_reason")?,
        roles: row.get::<_, List>("roles")?.0,
        created_at: row.get::<_, Micros>("created_at")?.0,
        updated_at: row.get::<_, Micros>("updated_at")?.0,
        deleted_at: time("deleted_at")?,
    })
}
