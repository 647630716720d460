//! The one way to change something: the change, its audit rows and its feed rows.

use deadpool_postgres::ClientWrapper;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::listen::CHANNEL;
use super::pool::MANAGEMENT;
use super::query::{one, run, transaction, value};
use super::{keys, log, receipts, roles, security, users};
use crate::store::audit::{self, Subject};
use crate::store::{Actor, ChainKeys, Change, Committed, NewKey, NewUser, StoreError, Terms};

/// Any number will do, as long as all nodes use the same. One more than the lock of migrations.
const LOCK: i64 = 0x6761_7465_706f_7302;

pub(super) async fn commit(
    db: &ClientWrapper,
    change: Change,
    terms: &Terms,
    by: &Actor,
    chain_keys: &ChainKeys,
) -> Result<Committed, StoreError> {
    let action = change.action();
    let subjects = change.subjects();

    transaction(db, MANAGEMENT, async {
        // First of all: whoever commits next must see what this one wrote, or the feed would have
        // numbers that appear late.
        lock(db).await?;
        accept(db, terms, &subjects, by).await?;
        let mut chain = log::chain(db, chain_keys).await?;
        let before = states(db, &subjects).await?;
        effect(db, change, by).await?;
        let after = states(db, &subjects).await?;

        let mut seq = 0;
        for ((subject, before), after) in subjects.iter().zip(before).zip(after) {
            let about = (subject.kind(), subject.id());
            let entry = audit::entry(action, by, about, before.as_ref(), after.as_ref());
            log::write(db, &chain.append(entry)).await?;
            seq = announce(db, subject, by).await?;
        }
        run(db, "SELECT pg_notify($1, '')", &[&CHANNEL]).await?;
        Ok(Committed { seq })
    })
    .await
}

/// Lets one transaction at a time write, over all nodes.
pub(super) async fn lock(db: &ClientWrapper) -> Result<(), StoreError> {
    run(db, "SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map(drop)
}

/// The receipt before the version: a repetition is one, whatever has happened since.
async fn accept(
    db: &ClientWrapper,
    terms: &Terms,
    subjects: &[Subject],
    by: &Actor,
) -> Result<(), StoreError> {
    if let (Some(receipt), Some(subject)) = (&terms.receipt, subjects.last()) {
        receipts::keep(db, receipt, &subject.id(), by.at).await?;
    }
    let (Some(versions), Some(subject)) = (&terms.versions, subjects.first()) else {
        return Ok(());
    };
    match version(db, subject).await? {
        Some(version) if versions.contains(&version) => Ok(()),
        _ => Err(StoreError::Stale),
    }
}

async fn version(db: &ClientWrapper, subject: &Subject) -> Result<Option<Timestamp>, StoreError> {
    Ok(match subject {
        Subject::User(id) => users::find(db, *id).await?.map(|user| user.updated_at),
        Subject::Role(name) => roles::find(db, name).await?.map(|role| role.updated_at),
        Subject::Permission(name) => {
            roles::find_permission(db, name).await?.map(|permission| permission.created_at)
        }
        Subject::Key(id) => keys::find(db, *id).await?.map(|key| key.updated_at),
    })
}

async fn effect(db: &ClientWrapper, change: Change, by: &Actor) -> Result<(), StoreError> {
    match change {
        Change::Bootstrap { user, key, again } => bootstrap(db, &user, &key, again, by).await,
        Change::CreateUser(user) => users::create(db, &user, by).await,
        Change::UpdateUser { id, patch } => users::update(db, id, patch, by).await,
        Change::DeleteUser { id } => users::delete(db, id, by).await,
        Change::LockUser { id, until, reason } => users::lock(db, id, until, reason, by).await,
        Change::UnlockUser { id } => {
            users::unlock(db, id, by).await?;
            security::forgive(db, id, by).await
        }
        Change::AddRoles { user, roles } => users::add_roles(db, user, &roles, by).await,
        Change::RemoveRole { user, role } => users::remove_role(db, user, &role, by).await,
        Change::CreateRole(role) => roles::create(db, &role, by).await,
        Change::UpdateRole { name, patch } => roles::update(db, &name, patch, by).await,
        Change::DeleteRole { name } => roles::delete(db, &name).await,
        Change::CreatePermission(permission) => roles::create_permission(db, &permission, by).await,
        Change::DeletePermission { name } => roles::delete_permission(db, &name).await,
        Change::CreateKey(key) => keys::create(db, &key, by).await,
        Change::UpdateKey { id, patch } => keys::update(db, id, patch, by).await,
        Change::RotateKey { id, new, old_expires_at } => {
            keys::rotate(db, id, new, old_expires_at, by).await
        }
        Change::RevokeKey { id } => keys::revoke(db, id, by).await,
    }
}

async fn bootstrap(
    db: &ClientWrapper,
    user: &NewUser,
    key: &NewKey,
    again: bool,
    by: &Actor,
) -> Result<(), StoreError> {
    if !again && users::has_admin(db).await? {
        return Err(StoreError::Conflict { field: "admin" });
    }
    users::create(db, user, by).await?;
    users::add_roles(db, user.id, &[users::ADMIN.to_owned()], by).await?;
    keys::create(db, key, by).await
}

async fn states(
    db: &ClientWrapper,
    subjects: &[Subject],
) -> Result<Vec<Option<Value>>, StoreError> {
    let mut states = Vec::with_capacity(subjects.len());
    for subject in subjects {
        states.push(match subject {
            Subject::User(id) => users::find(db, *id).await?.as_ref().map(audit::user),
            Subject::Role(name) => roles::find(db, name).await?.as_ref().map(audit::role),
            Subject::Permission(name) => {
                roles::find_permission(db, name).await?.as_ref().map(audit::permission)
            }
            Subject::Key(id) => keys::find(db, *id).await?.as_ref().map(audit::key),
        });
    }
    Ok(states)
}

async fn announce(db: &ClientWrapper, subject: &Subject, by: &Actor) -> Result<u64, StoreError> {
    let (kind, name) = match subject {
        Subject::Key(id) => address(db, *id).await?,
        _ => (subject.kind(), subject.id()),
    };
    let sql = "INSERT INTO changes (seq, subject_kind, subject, at)
               VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM changes), $1, $2, $3)
               RETURNING seq";
    Ok(value::<i64>(db, sql, &[&kind, &name, &by.at]).await? as u64)
}

/// What nodes know a key by: its lookup id, or the digest of an imported one.
async fn address(db: &ClientWrapper, id: Uuid) -> Result<(&'static str, String), StoreError> {
    let sql = "SELECT lookup_id, key_hash FROM api_keys WHERE id = $1";
    let address = one(db, sql, &[&id], |row| {
        Ok(match row.try_get::<_, Option<String>>(0)? {
            Some(lookup_id) => ("key", lookup_id),
            None => ("imported", hex::encode(row.try_get::<_, &[u8]>(1)?)),
        })
    })
    .await?;
    address.ok_or(StoreError::NotFound { what: "key" })
}
