//! What decisions need: keys with their owners, in one statement each, and the feed.

use rusqlite::{Connection, Row, ToSql, params};

use super::values::{Id, List, Micros, all, one, value};
use crate::key::{AccountLock, Digest, KeyRecord, LookupId, Owner};
use crate::store::{FeedEntry, StoreError, stored};

const SELECT: &str = "
    SELECT k.id, k.lookup_id, k.key_hash, k.name, k.environment, k.permissions, k.allowed_ips,
           k.expires_at, k.disabled, k.revoked_at, k.rate, k.quota,
           u.id AS owner_id, u.email, u.subscription_tier, u.is_locked, u.locked_until,
           u.deleted_at IS NOT NULL AS is_deleted,
           (SELECT json_group_array(role) FROM
               (SELECT role FROM user_roles WHERE user_id = u.id ORDER BY role)) AS roles,
           (SELECT json_group_array(DISTINCT p.pattern)
              FROM user_roles r JOIN role_permissions p ON p.role = r.role
             WHERE r.user_id = u.id) AS grants
      FROM api_keys k JOIN users u ON u.id = k.user_id";

pub(super) fn key(db: &Connection, id: &LookupId) -> Result<Option<KeyRecord>, StoreError> {
    find(db, "k.lookup_id = ?1", &id.as_str())
}

pub(super) fn imported(db: &Connection, digest: &Digest) -> Result<Option<KeyRecord>, StoreError> {
    find(db, "k.key_hash = ?1 AND k.lookup_id IS NULL", digest.as_bytes())
}

pub(super) fn imported_digests(db: &Connection) -> Result<Vec<Digest>, StoreError> {
    let sql = "SELECT key_hash FROM api_keys WHERE lookup_id IS NULL AND revoked_at IS NULL";
    all(db, sql, [], |row| stored::digest(&row.get::<_, Vec<u8>>(0)?))
}

pub(super) fn changes_after(
    db: &Connection,
    seq: u64,
    limit: usize,
) -> Result<Vec<FeedEntry>, StoreError> {
    let sql = "SELECT seq, subject_kind, subject FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    all(db, sql, params![seq, limit], |row| {
        let kind: String = row.get(1)?;
        let subject: String = row.get(2)?;
        Ok(FeedEntry { seq: row.get(0)?, subject: stored::feed_subject(&kind, &subject)? })
    })
}

pub(super) fn newest_change(db: &Connection) -> Result<u64, StoreError> {
    value(db, "SELECT coalesce(max(seq), 0) FROM changes", [])
}

fn find(
    db: &Connection,
    condition: &str,
    parameter: &dyn ToSql,
) -> Result<Option<KeyRecord>, StoreError> {
    one(db, &format!("{SELECT} WHERE {condition}"), [parameter], read)
}

fn read(row: &Row<'_>) -> Result<KeyRecord, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.get::<_, Option<Micros>>(column)?.map(|at| at.0));
    let text = |column| row.get::<_, Option<String>>(column);
    let lookup_id = text("lookup_id")?;
    Ok(KeyRecord {
        id: row.get::<_, Id>("id")?.0,
        lookup_id: lookup_id.as_deref().map(stored::lookup_id).transpose()?,
        digest: stored::digest(&row.get::<_, Vec<u8>>("key_hash")?)?,
        name: row.get("name")?,
        environment: stored::environment(&row.get::<_, String>("environment")?)?,
        permissions: stored::patterns(row.get::<_, List>("permissions")?.0)?,
        allowed_ips: stored::networks::<Vec<_>>(row.get::<_, List>("allowed_ips")?.0)?.into(),
        expires_at: time("expires_at")?,
        disabled: row.get("disabled")?,
        revoked_at: time("revoked_at")?,
        rate: text("rate")?.as_deref().map(stored::rate).transpose()?,
        quota: text("quota")?.as_deref().map(stored::quota).transpose()?,
        owner: owner(row)?,
    })
}

fn owner(row: &Row<'_>) -> Result<Owner, StoreError> {
    let until = row.get::<_, Option<Micros>>("locked_until")?.map(|at| at.0);
    let is_locked: bool = row.get("is_locked")?;
    Ok(Owner {
        id: row.get::<_, Id>("owner_id")?.0,
        email: row.get("email")?,
        tier: row.get("subscription_tier")?,
        lock: is_locked.then_some(AccountLock { until }),
        disabled: row.get("is_deleted")?,
        roles: row.get::<_, List>("roles")?.0.into_iter().map(String::into).collect(),
        grants: stored::patterns(row.get::<_, List>("grants")?.0)?,
    })
}
