//! Users and the roles they hold.

use deadpool_postgres::ClientWrapper;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::query::{Select, all, one, run, value};
use crate::store::change::fold_email;
use crate::store::{
    Actor, NewUser, Page, PageRequest, StoreError, UserFilter, UserPatch, UserRow, stored,
};

/// The role without whose holder nobody could administer.
pub(super) const ADMIN: &str = "admin";

const SELECT: &str = "
    SELECT u.id, u.email, u.display_name, u.subscription_tier, u.is_locked, u.locked_until,
           u.lock_reason, u.created_at, u.updated_at, u.deleted_at,
           ARRAY(SELECT role FROM user_roles WHERE user_id = u.id ORDER BY role) AS roles
      FROM users u";

/// A lock that has run out is none, whatever the row remembers.
const LOCKED: &str = "u.is_locked AND coalesce(u.locked_until > ?, true)";
const UNLOCKED: &str = "NOT (u.is_locked AND coalesce(u.locked_until > ?, true))";

pub(super) async fn find(db: &ClientWrapper, id: Uuid) -> Result<Option<UserRow>, StoreError> {
    one(db, &format!("{SELECT} WHERE u.id = $1"), &[&id], read).await
}

pub(super) async fn list(
    db: &ClientWrapper,
    filter: &UserFilter,
    page: &PageRequest,
) -> Result<Page<UserRow>, StoreError> {
    let rows = Select::new(format!("{SELECT} WHERE u.deleted_at IS NULL"))
        .and("u.email_folded = ?", filter.email.as_deref().map(fold_email))
        .and("u.id IN (SELECT user_id FROM user_roles WHERE role = ?)", filter.role.clone())
        .and(LOCKED, filter.locked_at)
        .and(UNLOCKED, filter.unlocked_at)
        .and("u.id > ?", stored::cursor(page.after.as_deref())?)
        .rows(db, "u.id", page.rows_to_read(), read)
        .await?;
    Ok(Page::cut(rows, page, |user| user.id.to_string()))
}

pub(super) async fn has_admin(db: &ClientWrapper) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM user_roles r JOIN users u ON u.id = r.user_id
                               WHERE r.role = $1 AND u.deleted_at IS NULL)";
    value(db, sql, &[&ADMIN]).await
}

/// More than any configuration has.
pub(super) async fn tiers_in_use(db: &ClientWrapper) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT subscription_tier, count(*) FROM users
                WHERE deleted_at IS NULL AND subscription_tier IS NOT NULL
                GROUP BY subscription_tier ORDER BY subscription_tier LIMIT 1000";
    all(db, sql, &[], |row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs()))).await
}

pub(super) async fn create(
    db: &ClientWrapper,
    user: &NewUser,
    by: &Actor,
) -> Result<(), StoreError> {
    run(
        db,
        "INSERT INTO users (id, email, email_folded, display_name, subscription_tier,
                            created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
        &[&user.id, &user.email, &fold_email(&user.email), &user.display_name, &user.tier, &by.at],
    )
    .await?;
    add_roles(db, user.id, &user.roles, by).await
}

pub(super) async fn update(
    db: &ClientWrapper,
    id: Uuid,
    mut patch: UserPatch,
    by: &Actor,
) -> Result<(), StoreError> {
    let mut user = present(db, id).await?;
    let roles = patch.roles.take();
    patch.apply(&mut user);
    run(
        db,
        "UPDATE users SET email = $2, email_folded = $3, display_name = $4, subscription_tier = $5,
                          updated_at = $6
          WHERE id = $1",
        &[
            &id,
            &user.email,
            &fold_email(&user.email),
            &user.display_name,
            &user.subscription_tier,
            &by.at,
        ],
    )
    .await?;
    let Some(roles) = roles else { return Ok(()) };
    for role in user.roles.iter().filter(|role| !roles.contains(role)) {
        remove_role(db, id, role, by).await?;
    }
    add_roles(db, id, &roles, by).await
}

pub(super) async fn delete(db: &ClientWrapper, id: Uuid, by: &Actor) -> Result<(), StoreError> {
    present(db, id).await?;
    keep_an_admin(db, id).await?;
    let sql = "UPDATE users SET deleted_at = $2, updated_at = $2 WHERE id = $1";
    run(db, sql, &[&id, &by.at]).await?;
    let sql = "UPDATE api_keys SET revoked_at = $2, updated_at = $2
                WHERE user_id = $1 AND revoked_at IS NULL";
    run(db, sql, &[&id, &by.at]).await?;
    Ok(())
}

pub(super) async fn lock(
    db: &ClientWrapper,
    id: Uuid,
    until: Option<Timestamp>,
    reason: Option<String>,
    by: &Actor,
) -> Result<(), StoreError> {
    present(db, id).await?;
    keep_an_admin(db, id).await?;
    let sql = "UPDATE users SET is_locked = true, locked_until = $2, lock_reason = $3,
                                locked_by = $4, updated_at = $5
                WHERE id = $1";
    run(db, sql, &[&id, &until, &reason, &by.user_id, &by.at]).await?;
    Ok(())
}

pub(super) async fn unlock(db: &ClientWrapper, id: Uuid, by: &Actor) -> Result<(), StoreError> {
    present(db, id).await?;
    let sql = "UPDATE users SET is_locked = false, locked_until = NULL, lock_reason = NULL,
                                locked_by = NULL, updated_at = $2
                WHERE id = $1";
    run(db, sql, &[&id, &by.at]).await?;
    Ok(())
}

pub(super) async fn add_roles(
    db: &ClientWrapper,
    id: Uuid,
    roles: &[String],
    by: &Actor,
) -> Result<(), StoreError> {
    present(db, id).await?;
    for role in roles {
        let sql = "SELECT EXISTS (SELECT 1 FROM roles WHERE name = $1)";
        if !value::<bool>(db, sql, &[role]).await? {
            return Err(StoreError::NotFound { what: "role" });
        }
        let sql = "INSERT INTO user_roles (user_id, role, granted_at, granted_by)
                   VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        run(db, sql, &[&id, role, &by.at, &by.user_id]).await?;
    }
    touch(db, id, by).await
}

pub(super) async fn remove_role(
    db: &ClientWrapper,
    id: Uuid,
    role: &str,
    by: &Actor,
) -> Result<(), StoreError> {
    present(db, id).await?;
    if role == ADMIN {
        keep_an_admin(db, id).await?;
    }
    let sql = "DELETE FROM user_roles WHERE user_id = $1 AND role = $2";
    if run(db, sql, &[&id, &role]).await? == 0 {
        return Err(StoreError::NotFound { what: "role" });
    }
    touch(db, id, by).await
}

/// The user, who must not have been deleted.
pub(super) async fn present(db: &ClientWrapper, id: Uuid) -> Result<UserRow, StoreError> {
    find(db, id)
        .await?
        .filter(|user| user.deleted_at.is_none())
        .ok_or(StoreError::NotFound { what: "user" })
}

async fn touch(db: &ClientWrapper, id: Uuid, by: &Actor) -> Result<(), StoreError> {
    run(db, "UPDATE users SET updated_at = $2 WHERE id = $1", &[&id, &by.at]).await.map(drop)
}

/// Refuses when nobody who can sign in would be left to administer.
async fn keep_an_admin(db: &ClientWrapper, id: Uuid) -> Result<(), StoreError> {
    let sql = "
        SELECT EXISTS (SELECT 1 FROM user_roles WHERE user_id = $1 AND role = $2)
           AND NOT EXISTS (SELECT 1 FROM user_roles r JOIN users u ON u.id = r.user_id
                            WHERE r.role = $2 AND u.id <> $1
                              AND u.deleted_at IS NULL AND NOT u.is_locked)";
    let is_last: bool = value(db, sql, &[&id, &ADMIN]).await?;
    if is_last { Err(StoreError::Protected("the last admin cannot go")) } else { Ok(()) }
}

fn read(row: &Row) -> Result<UserRow, StoreError> {
    Ok(UserRow {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        display_name: row.try_get("display_name")?,
        subscription_tier: row.try_get("subscription_tier")?,
        is_locked: row.try_get("is_locked")?,
        locked_until: row.try_get("locked_until")?,
        lock_reason: row.try_get("lock_reason")?,
        roles: row.try_get("roles")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        deleted_at: row.try_get("deleted_at")?,
    })
}
