//! API keys, as people see and change them.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params, params_from_iter};
use uuid::Uuid;

use super::select::Select;
use super::users;
use super::values::{Id, Json, List, Micros, all, one, run};
use crate::store::{
    Actor, KeyCounts, KeyFilter, KeyPatch, KeyRow, NewKey, Page, PageRequest, StoreError, stored,
};

const SELECT: &str = "
    SELECT id, user_id, lookup_id, name, permissions, environment, allowed_ips, rate, quota,
           expires_at, disabled, revoked_at, last_used_at, metadata, rotated_from, created_by,
           created_at, updated_at
      FROM api_keys";

const WORKING: &str =
    "revoked_at IS NULL AND NOT disabled AND (expires_at IS NULL OR expires_at > ?)";

pub(super) fn find(db: &Connection, id: Uuid) -> Result<Option<KeyRow>, StoreError> {
    one(db, &format!("{SELECT} WHERE id = ?1"), [Id(id)], read)
}

pub(super) fn list(
    db: &Connection,
    filter: KeyFilter,
    page: &PageRequest,
) -> Result<Page<KeyRow>, StoreError> {
    let after = stored::cursor(page.after.as_deref())?;
    let (sql, values) = Select::new(format!("{SELECT} WHERE true"))
        .and("user_id = ?", filter.user_id.map(Id))
        .and("environment = ?", filter.environment)
        .and("lookup_id = ?", filter.lookup_id.map(|id| id.to_string()))
        .and("(revoked_at IS NOT NULL) = ?", filter.revoked)
        .and("disabled = ?", filter.disabled)
        .and("expires_at < ?", filter.expires_before.map(Micros))
        .and("(last_used_at IS NULL) = ?", filter.never_used)
        .and("coalesce(last_used_at, created_at) < ?", filter.unused_since.map(Micros))
        .and(WORKING, filter.working_at.map(Micros))
        .and("id > ?", after.map(Id))
        .ordered("id", page.rows_to_read());
    let rows = all(db, &sql, params_from_iter(values), read)?;
    Ok(Page::cut(rows, page, |key| key.id.to_string()))
}

pub(super) fn counts(db: &Connection, now: Timestamp) -> Result<KeyCounts, StoreError> {
    let (soon, long_ago) = KeyCounts::limits(now);
    let sql = "
        SELECT count(*),
               count(*) FILTER (WHERE expires_at < ?2),
               count(*) FILTER (WHERE last_used_at IS NULL),
               count(*) FILTER (WHERE coalesce(last_used_at, created_at) < ?3)
          FROM api_keys
         WHERE revoked_at IS NULL AND disabled = 0 AND (expires_at IS NULL OR expires_at > ?1)";
    let counts = one(db, sql, params![Micros(now), Micros(soon), Micros(long_ago)], |row| {
        Ok(KeyCounts {
            working: row.get(0)?,
            nearing_expiry: row.get(1)?,
            never_used: row.get(2)?,
            unused: row.get(3)?,
        })
    })?;
    Ok(counts.unwrap_or_default())
}

pub(super) fn create(db: &Connection, key: &NewKey, by: &Actor) -> Result<(), StoreError> {
    users::present(db, key.user_id)?;
    run(
        db,
        "INSERT INTO api_keys (id, user_id, lookup_id, key_hash, name, permissions, environment,
                               allowed_ips, rate, quota, expires_at, metadata, rotated_from,
                               created_by, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15)",
        params![
            Id(key.id),
            Id(key.user_id),
            key.lookup_id.map(|id| id.to_string()),
            key.digest.as_bytes(),
            key.name,
            List::of(&key.permissions),
            key.environment.as_str(),
            List(stored::network_texts(&key.allowed_ips)),
            key.rate,
            key.quota,
            key.expires_at.map(Micros),
            key.metadata.clone().map(Json),
            key.rotated_from.map(Id),
            by.user_id.map(Id),
            Micros(by.at),
        ],
    )?;
    Ok(())
}

pub(super) fn update(
    db: &Connection,
    id: Uuid,
    patch: KeyPatch,
    by: &Actor,
) -> Result<(), StoreError> {
    let mut key = usable(db, id)?;
    patch.apply(&mut key);
    run(
        db,
        "UPDATE api_keys SET name = ?2, permissions = ?3, allowed_ips = ?4, rate = ?5, quota = ?6,
                             expires_at = ?7, disabled = ?8, metadata = ?9, updated_at = ?10
          WHERE id = ?1",
        params![
            Id(id),
            key.name,
            List::of(&key.permissions),
            List(stored::network_texts(&key.allowed_ips)),
            key.rate,
            key.quota,
            key.expires_at.map(Micros),
            key.disabled,
            key.metadata.map(Json),
            Micros(by.at),
        ],
    )?;
    Ok(())
}

pub(super) fn rotate(
    db: &Connection,
    id: Uuid,
    new: NewKey,
    old_expires_at: Timestamp,
    by: &Actor,
) -> Result<(), StoreError> {
    let old = usable(db, id)?;
    create(db, &NewKey { rotated_from: Some(id), ..new }, by)?;
    // Rotating must not be a way round being disabled.
    let sql = "UPDATE api_keys SET disabled = ?2 WHERE id = ?1";
    run(db, sql, params![Id(new.id), old.disabled])?;
    if old_expires_at <= by.at {
        return revoke(db, id, by);
    }
    run(
        db,
        "UPDATE api_keys SET expires_at = min(coalesce(expires_at, ?2), ?2), updated_at = ?3
          WHERE id = ?1",
        params![Id(id), Micros(old_expires_at), Micros(by.at)],
    )?;
    Ok(())
}

/// The first time stands, however often it is repeated.
pub(super) fn revoke(db: &Connection, id: Uuid, by: &Actor) -> Result<(), StoreError> {
    let revoked = run(
        db,
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?2), updated_at = ?2 WHERE id = ?1",
        params![Id(id), Micros(by.at)],
    )?;
    if revoked == 0 { Err(StoreError::NotFound { what: "key" }) } else { Ok(()) }
}

fn usable(db: &Connection, id: Uuid) -> Result<KeyRow, StoreError> {
    let key = find(db, id)?.ok_or(StoreError::NotFound { what: "key" })?;
    if key.revoked_at.is_some() {
        return Err(StoreError::Protected("a revoked key cannot be changed"));
    }
    Ok(key)
}

fn read(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    let time = |column| Ok::<_, StoreError>(row.get::<_, Option<Micros>>(column)?.map(|at| at.0));
    let id = |column| Ok::<_, StoreError>(row.get::<_, Option<Id>>(column)?.map(|id| id.0));
    let lookup_id: Option<String> = row.get("lookup_id")?;
    Ok(KeyRow {
        id: row.get::<_, Id>("id")?.0,
        user_id: row.get::<_, Id>("user_id")?.0,
        lookup_id: lookup_id.as_deref().map(stored::lookup_id).transpose()?,
        name: row.get("name")?,
        permissions: stored::patterns(row.get::<_, List>("permissions")?.0)?,
        environment: stored::environment(&row.get::<_, String>("environment")?)?,
        allowed_ips: stored::networks(row.get::<_, List>("allowed_ips")?.0)?,
        rate: row.get("rate")?,
        quota: row.get("quota")?,
        expires_at: time("expires_at")?,
        disabled: row.get("disabled")?,
        revoked_at: time("revoked_at")?,
        last_used_at: time("last_used_at")?,
        metadata: row.get::<_, Option<Json>>("metadata")?.map(|json| json.0),
        rotated_from: id("rotated_from")?,
        created_by: id("created_by")?,
        created_at: row.get::<_, Micros>("created_at")?.0,
        updated_at: row.get::<_, Micros>("updated_at")?.0,
    })
}
