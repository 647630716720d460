//! API keys, as people see and change them.

use deadpool_postgres::ClientWrapper;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::query::{Parameters, Select, one, run};
use super::users;
use crate::store::{
    Actor, KeyCounts, KeyFilter, KeyPatch, KeyRow, NewKey, Page, PageRequest, StoreError, stored,
};

const SELECT: &str = "
    SELECT id, user_id, lookup_id, name, permissions, environment,
           allowed_ips::text[] AS allowed_ips, rate, quota, expires_at, disabled, revoked_at,
           last_used_at, metadata, rotated_from, created_by, created_at, updated_at
      FROM api_keys";

const WORKING: &str =
    "revoked_at IS NULL AND NOT disabled AND (expires_at IS NULL OR expires_at > ?)";

pub(super) async fn find(db: &ClientWrapper, id: Uuid) -> Result<Option<KeyRow>, StoreError> {
    one(db, &format!("{SELECT} WHERE id = $1"), &[&id], read).await
}

pub(super) async fn list(
    db: &ClientWrapper,
    filter: &KeyFilter,
    page: &PageRequest,
) -> Result<Page<KeyRow>, StoreError> {
    let rows = Select::new(format!("{SELECT} WHERE true"))
        .and("user_id = ?", filter.user_id)
        .and("environment = ?", filter.environment.clone())
        .and("lookup_id = ?", filter.lookup_id.map(|id| id.to_string()))
        .and("(revoked_at IS NOT NULL) = ?", filter.revoked)
        .and("disabled = ?", filter.disabled)
        .and("expires_at < ?", filter.expires_before)
        .and("(last_used_at IS NULL) = ?", filter.never_used)
        .and("coalesce(last_used_at, created_at) < ?", filter.unused_since)
        .and(WORKING, filter.working_at)
        .and("id > ?", stored::cursor(page.after.as_deref())?)
        .rows(db, "id", page.rows_to_read(), read)
        .await?;
    Ok(Page::cut(rows, page, |key| key.id.to_string()))
}

pub(super) async fn counts(db: &ClientWrapper, now: Timestamp) -> Result<KeyCounts, StoreError> {
    let (soon, long_ago) = KeyCounts::limits(now);
    let sql = "
        SELECT count(*),
               count(*) FILTER (WHERE expires_at < $2),
               count(*) FILTER (WHERE last_used_at IS NULL),
               count(*) FILTER (WHERE coalesce(last_used_at, created_at) < $3)
          FROM api_keys
         WHERE revoked_at IS NULL AND NOT disabled AND (expires_at IS NULL OR expires_at > $1)";
    let limits: Parameters<'_> = &[&now, &soon, &long_ago];
    let counts = one(db, sql, limits, |row| {
        let count = |column: usize| Ok::<_, StoreError>(row.try_get::<_, i64>(column)? as u64);
        Ok(KeyCounts {
            working: count(0)?,
            nearing_expiry: count(1)?,
            never_used: count(2)?,
            unused: count(3)?,
        })
    });
    Ok(counts.await?.unwrap_or_default())
}

pub(super) async fn create(db: &ClientWrapper, key: &NewKey, by: &Actor) -> Result<(), StoreError> {
    users::present(db, key.user_id).await?;
    run(
        db,
        "INSERT INTO api_keys (id, user_id, lookup_id, key_hash, name, permissions, environment,
                               allowed_ips, rate, quota, expires_at, metadata, rotated_from,
                               created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text[]::cidr[], $9, $10, $11, $12, $13, $14,
                 $15, $15)",
        &[
            &key.id,
            &key.user_id,
            &key.lookup_id.as_ref().map(|id| id.as_str()),
            &key.digest.as_bytes().as_slice(),
            &key.name,
            &texts(&key.permissions),
            &key.environment.as_str(),
            &stored::network_texts(&key.allowed_ips),
            &key.rate,
            &key.quota,
            &key.expires_at,
            &key.metadata,
            &key.rotated_from,
            &by.user_id,
            &by.at,
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn update(
    db: &ClientWrapper,
    id: Uuid,
    patch: KeyPatch,
    by: &Actor,
) -> Result<(), StoreError> {
    let mut key = usable(db, id).await?;
    patch.apply(&mut key);
    run(
        db,
        "UPDATE api_keys SET name = $2, permissions = $3, allowed_ips = $4::text[]::cidr[],
                             rate = $5, quota = $6, expires_at = $7, disabled = $8, metadata = $9,
                             updated_at = $10
          WHERE id = $1",
        &[
            &id,
            &key.name,
            &texts(&key.permissions),
            &stored::network_texts(&key.allowed_ips),
            &key.rate,
            &key.quota,
            &key.expires_at,
            &key.disabled,
            &key.metadata,
            &by.at,
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn rotate(
    db: &ClientWrapper,
    id: Uuid,
    new: NewKey,
    old_expires_at: Timestamp,
    by: &Actor,
) -> Result<(), StoreError> {
    let old = usable(db, id).await?;
    let new = NewKey { rotated_from: Some(id), ..new };
    create(db, &new, by).await?;
    // Rotating must not be a way round being disabled.
    let sql = "UPDATE api_keys SET disabled = $2 WHERE id = $1";
    run(db, sql, &[&new.id, &old.disabled]).await?;
    if old_expires_at <= by.at {
        return revoke(db, id, by).await;
    }
    let sql = "UPDATE api_keys SET expires_at = least(expires_at, $2), updated_at = $3
                WHERE id = $1";
    run(db, sql, &[&id, &old_expires_at, &by.at]).await?;
    Ok(())
}

/// The first time stands, however often it is repeated.
pub(super) async fn revoke(db: &ClientWrapper, id: Uuid, by: &Actor) -> Result<(), StoreError> {
    let sql = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2), updated_at = $2
                WHERE id = $1";
    let revoked = run(db, sql, &[&id, &by.at]).await?;
    if revoked == 0 { Err(StoreError::NotFound { what: "key" }) } else { Ok(()) }
}

async fn usable(db: &ClientWrapper, id: Uuid) -> Result<KeyRow, StoreError> {
    let key = find(db, id).await?.ok_or(StoreError::NotFound { what: "key" })?;
    if key.revoked_at.is_some() {
        return Err(StoreError::Protected("a revoked key cannot be changed"));
    }
    Ok(key)
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

fn read(row: &Row) -> Result<KeyRow, StoreError> {
    let lookup_id: Option<&str> = row.try_get("lookup_id")?;
    Ok(KeyRow {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        lookup_id: lookup_id.map(stored::lookup_id).transpose()?,
        name: row.try_get("name")?,
        permissions: stored::patterns(row.try_get("permissions")?)?,
        environment: stored::environment(row.try_get("environment")?)?,
        allowed_ips: stored::networks(row.try_get("allowed_ips")?)?,
        rate: row.try_get("rate")?,
        quota: row.try_get("quota")?,
        expires_at: row.try_get("expires_at")?,
        disabled: row.try_get("disabled")?,
        revoked_at: row.try_get("revoked_at")?,
        last_used_at: row.try_get("last_used_at")?,
        metadata: row.try_get("metadata")?,
        rotated_from: row.try_get("rotated_from")?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
