//! The one way to change something: the change, its audit rows and its feed rows.

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use serde_json::Value;
use uuid::Uuid;

use super::values::{Id, Micros, one, value};
use super::{keys, log, receipts, roles, security, users};
use crate::store::audit::{self, Subject};
use crate::store::{Actor, ChainKeys, Change, Committed, NewKey, NewUser, StoreError, Terms};

pub(super) fn commit(
    db: &mut Connection,
    change: Change,
    terms: &Terms,
    by: &Actor,
    chain_keys: &ChainKeys,
) -> Result<Committed, StoreError> {
    let action = change.action();
    let subjects = change.subjects();

    // Taking the write lock first makes the order of commits the order of the feed.
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    accept(&tx, terms, &subjects, by)?;
    let mut chain = log::chain(&tx, chain_keys)?;
    let before = states(&tx, &subjects)?;
    effect(&tx, change, by)?;
    let after = states(&tx, &subjects)?;

    let mut seq = 0;
    for ((subject, before), after) in subjects.iter().zip(before).zip(after) {
        let about = (subject.kind(), subject.id());
        let entry = audit::entry(action, by, about, before.as_ref(), after.as_ref());
        log::write(&tx, &chain.append(entry))?;
        seq = announce(&tx, subject, by)?;
    }
    tx.commit()?;
    Ok(Committed { seq })
}

/// The receipt before the version: a repetition is one, whatever has happened since.
fn accept(
    db: &Connection,
    terms: &Terms,
    subjects: &[Subject],
    by: &Actor,
) -> Result<(), StoreError> {
    if let (Some(receipt), Some(subject)) = (&terms.receipt, subjects.last()) {
        receipts::keep(db, receipt, &subject.id(), by.at)?;
    }
    let (Some(versions), Some(subject)) = (&terms.versions, subjects.first()) else {
        return Ok(());
    };
    match version(db, subject)? {
        Some(version) if versions.contains(&version) => Ok(()),
        _ => Err(StoreError::Stale),
    }
}

fn version(db: &Connection, subject: &Subject) -> Result<Option<Timestamp>, StoreError> {
    Ok(match subject {
        Subject::User(id) => users::find(db, *id)?.map(|user| user.updated_at),
        Subject::Role(name) => roles::find(db, name)?.map(|role| role.updated_at),
        Subject::Permission(name) => {
            roles::find_permission(db, name)?.map(|permission| permission.created_at)
        }
        Subject::Key(id) => keys::find(db, *id)?.map(|key| key.updated_at),
    })
}

fn effect(db: &Connection, change: Change, by: &Actor) -> Result<(), StoreError> {
    match change {
        Change::Bootstrap { user, key, again } => bootstrap(db, &user, &key, again, by),
        Change::CreateUser(user) => users::create(db, &user, by),
        Change::UpdateUser { id, patch } => users::update(db, id, patch, by),
        Change::DeleteUser { id } => users::delete(db, id, by),
        Change::LockUser { id, until, reason } => users::lock(db, id, until, reason, by),
        Change::UnlockUser { id } => {
            users::unlock(db, id, by)?;
            security::forgive(db, id, by)
        }
        Change::AddRoles { user, roles } => users::add_roles(db, user, &roles, by),
        Change::RemoveRole { user, role } => users::remove_role(db, user, &role, by),
        Change::CreateRole(role) => roles::create(db, &role, by),
        Change::UpdateRole { name, patch } => roles::update(db, &name, patch, by),
        Change::DeleteRole { name } => roles::delete(db, &name),
        Change::CreatePermission(permission) => roles::create_permission(db, &permission, by),
        Change::DeletePermission { name } => roles::delete_permission(db, &name),
        Change::CreateKey(key) => keys::create(db, &key, by),
        Change::UpdateKey { id, patch } => keys::update(db, id, patch, by),
        Change::RotateKey { id, new, old_expires_at } => {
            keys::rotate(db, id, new, old_expires_at, by)
        }
        Change::RevokeKey { id } => keys::revoke(db, id, by),
    }
}

fn bootstrap(
    db: &Connection,
    user: &NewUser,
    key: &NewKey,
    again: bool,
    by: &Actor,
) -> Result<(), StoreError> {
    if !again && users::has_admin(db)? {
        return Err(StoreError::Conflict { field: "admin" });
    }
    users::create(db, user, by)?;
    users::add_roles(db, user.id, &[users::ADMIN.to_owned()], by)?;
    keys::create(db, key, by)
}

fn states(db: &Connection, subjects: &[Subject]) -> Result<Vec<Option<Value>>, StoreError> {
    let state = |subject: &Subject| {
        Ok(match subject {
            Subject::User(id) => users::find(db, *id)?.as_ref().map(audit::user),
            Subject::Role(name) => roles::find(db, name)?.as_ref().map(audit::role),
            Subject::Permission(name) => {
                roles::find_permission(db, name)?.as_ref().map(audit::permission)
            }
            Subject::Key(id) => keys::find(db, *id)?.as_ref().map(audit::key),
        })
    };
    subjects.iter().map(state).collect()
}

fn announce(db: &Connection, subject: &Subject, by: &Actor) -> Result<u64, StoreError> {
    let (kind, name) = match subject {
        Subject::Key(id) => address(db, *id)?,
        _ => (subject.kind(), subject.id()),
    };
    value(
        db,
        "INSERT INTO changes (seq, subject_kind, subject, at)
         SELECT coalesce(max(seq), 0) + 1, ?1, ?2, ?3 FROM changes
         RETURNING seq",
        params![kind, name, Micros(by.at)],
    )
}

/// What nodes know a key by: its lookup id, or the digest of an imported one.
fn address(db: &Connection, id: Uuid) -> Result<(&'static str, String), StoreError> {
    let sql = "SELECT lookup_id, key_hash FROM api_keys WHERE id = ?1";
    let address = one(db, sql, [Id(id)], |row| {
        Ok(match row.get::<_, Option<String>>(0)? {
            Some(lookup_id) => ("key", lookup_id),
            None => ("imported", hex::encode(row.get::<_, Vec<u8>>(1)?)),
        })
    })?;
    address.ok_or(StoreError::NotFound { what: "key" })
}
