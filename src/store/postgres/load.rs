//! What decisions need: keys with their owners, in one statement each, and the feed.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;

use super::query::{Parameters, all, one, value};
use crate::key::{AccountLock, Digest, KeyRecord, LookupId, Owner};
use crate::store::{FeedEntry, StoreError, stored};

const SELECT: &str = "
    SELECT k.id, k.lookup_id, k.key_hash, k.name, k.environment, k.permissions,
           k.allowed_ips::text[] AS allowed_ips, k.expires_at, k.disabled, k.revoked_at, k.rate, k.quota,
           u.id AS owner_id, u.email, u.subscription_tier, u.is_locked, u.locked_until,
           u.deleted_at IS NOT NULL AS is_deleted,
           ARRAY(SELECT role FROM user_roles WHERE user_id = u.id ORDER BY role) AS roles,
           ARRAY(SELECT DISTINCT p.pattern
                   FROM user_roles r JOIN role_permissions p ON p.role = r.role
                  WHERE r.user_id = u.id) AS grants
      FROM api_keys k JOIN users u ON u.id = k.user_id";

pub(super) async fn key(
    db: &ClientWrapper,
    id: &LookupId,
) -> Result<Option<KeyRecord>, StoreError> {
    find(db, "k.lookup_id = $1", &[&id.as_str()]).await
}

pub(super) async fn imported(
    db: &ClientWrapper,
    digest: &Digest,
) -> Result<Option<KeyRecord>, StoreError> {
    let digest = digest.as_bytes().as_slice();
    find(db, "k.key_hash = $1 AND k.lookup_id IS NULL", &[&digest]).await
}

pub(super) async fn imported_digests(db: &ClientWrapper) -> Result<Vec<Digest>, StoreError> {
    let sql = "SELECT key_hash FROM api_keys WHERE lookup_id IS NULL AND revoked_at IS NULL";
    all(db, sql, &[], |row| stored::digest(row.try_get(0)?)).await
}

pub(super) async fn changes_after(
    db: &ClientWrapper,
    seq: u64,
    limit: usize,
) -> Result<Vec<FeedEntry>, StoreError> {
    let sql = "SELECT seq, subject_kind, subject FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2";
    all(db, sql, &[&(seq as i64), &(limit as i64)], |row| {
        let subject = stored::feed_subject(row.try_get(1)?, row.try_get(2)?)?;
        Ok(FeedEntry { seq: row.try_get::<_, i64>(0)? as u64, subject })
    })
    .await
}

pub(super) async fn newest_change(db: &ClientWrapper) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(seq), 0) FROM changes";
    Ok(value::<i64>(db, sql, &[]).await? as u64)
}

async fn find(
    db: &ClientWrapper,
    condition: &str,
    parameters: Parameters<'_>,
) -> Result<Option<KeyRecord>, StoreError> {
    one(db, &format!("{SELECT} WHERE {condition}"), parameters, read).await
}

fn read(row: &Row) -> Result<KeyRecord, StoreError> {
    let lookup_id: Option<&str> = row.try_get("lookup_id")?;
    Ok(KeyRecord {
        id: row.try_get("id")?,
        lookup_id: lookup_id.map(stored::lookup_id).transpose()?,
        digest: stored::digest(row.try_get("key_hash")?)?,
        name: row.try_get("name")?,
        environment: stored::environment(row.try_get("environment")?)?,
        permissions: stored::patterns(row.try_get("permissions")?)?,
        allowed_ips: stored::networks::<Vec<_>>(row.try_get("allowed_ips")?)?.into(),
        expires_at: row.try_get("expires_at")?,
        disabled: row.try_get("disabled")?,
        revoked_at: row.try_get("revoked_at")?,
        rate: row.try_get::<_, Option<&str>>("rate")?.map(stored::rate).transpose()?,
        quota: row.try_get::<_, Option<&str>>("quota")?.map(stored::quota).transpose()?,
        owner: owner(row)?,
    })
}

fn owner(row: &Row) -> Result<Owner, StoreError> {
    let until = row.try_get("locked_until")?;
    let is_locked: bool = row.try_get("is_locked")?;
    let roles: Vec<String> = row.try_get("roles")?;
    Ok(Owner {
        id: row.try_get("owner_id")?,
        email: row.try_get("email")?,
        tier: row.try_get("subscription_tier")?,
        lock: is_locked.then_some(AccountLock { until }),
        disabled: row.try_get("is_deleted")?,
        roles: roles.into_iter().map(String::into).collect(),
        grants: stored::patterns(row.try_get("grants")?)?,
    })
}
