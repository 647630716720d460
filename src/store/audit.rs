//! What the audit log and the change feed say of a change; the same words in both dialects.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Actor, AuditEntry, Break, ChainHead, Change, KeyRow, PermissionRow, RoleRow, StoreError,
    UserRow,
};

/// What a change is about: each subject of a change gets an audit row, with its state before and
/// after, and a row in the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    User(Uuid),
    Role(String),
    Permission(String),
    Key(Uuid),
}

impl Subject {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Subject::User(_) => "user",
            Subject::Role(_) => "role",
            Subject::Permission(_) => "permission",
            Subject::Key(_) => "key",
        }
    }

    pub(super) fn id(&self) -> String {
        match self {
            Subject::User(id) | Subject::Key(id) => id.to_string(),
            Subject::Role(name) | Subject::Permission(name) => name.clone(),
        }
    }
}

impl Change {
    /// Its name in the audit log.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Change::Bootstrap { again: false, .. } => "bootstrap",
            Change::Bootstrap { again: true, .. } => "bootstrap_again",
            Change::CreateUser(_) => "create_user",
            Change::UpdateUser { .. } => "update_user",
            Change::DeleteUser { .. } => "delete_user",
            Change::LockUser { .. } => "lock_user",
            Change::UnlockUser { .. } => "unlock_user",
            Change::AddRoles { .. } => "add_roles",
            Change::RemoveRole { .. } => "remove_role",
            Change::CreateRole(_) => "create_role",
            Change::UpdateRole { .. } => "update_role",
            Change::DeleteRole { .. } => "delete_role",
            Change::CreatePermission(_) => "create_permission",
            Change::DeletePermission { .. } => "delete_permission",
            Change::CreateKey(_) => "create_key",
            Change::UpdateKey { .. } => "update_key",
            Change::RotateKey { .. } => "rotate_key",
            Change::RevokeKey { .. } => "revoke_key",
        }
    }

    pub(super) fn subjects(&self) -> Vec<Subject> {
        match self {
            Change::Bootstrap { user, key, .. } => {
                vec![Subject::User(user.id), Subject::Key(key.id)]
            }
            Change::CreateUser(user) => vec![Subject::User(user.id)],
            Change::UpdateUser { id, .. }
            | Change::DeleteUser { id }
            | Change::LockUser { id, .. }
            | Change::UnlockUser { id }
            | Change::AddRoles { user: id, .. }
            | Change::RemoveRole { user: id, .. } => vec![Subject::User(*id)],
            Change::CreateRole(role) => vec![Subject::Role(role.name.clone())],
            Change::UpdateRole { name, .. } | Change::DeleteRole { name } => {
                vec![Subject::Role(name.clone())]
            }
            Change::CreatePermission(permission) => {
                vec![Subject::Permission(permission.name.to_string())]
            }
            Change::DeletePermission { name } => vec![Subject::Permission(name.to_string())],
            Change::CreateKey(key) => vec![Subject::Key(key.id)],
            Change::UpdateKey { id, .. } | Change::RevokeKey { id } => vec![Subject::Key(*id)],
            Change::RotateKey { id, new, .. } => vec![Subject::Key(*id), Subject::Key(new.id)],
        }
    }
}

/// What the log says of a change to one subject.
pub(super) fn entry(
    action: &str,
    by: &Actor,
    (subject_kind, subject_id): (&str, String),
    before: Option<&Value>,
    after: Option<&Value>,
) -> AuditEntry {
    AuditEntry {
        at: by.at,
        action: action.to_owned(),
        actor_user_id: by.user_id.map(|id| id.to_string()),
        actor_key_id: by.key_id.map(|id| id.to_string()),
        actor_ip: by.ip.map(|ip| ip.to_string()),
        request_id: by.request_id.map(|id| id.to_string()),
        subject_kind: subject_kind.to_owned(),
        subject_id,
        before: before.map(Value::to_string),
        after: after.map(Value::to_string),
    }
}

/// What the log says of a new `SECRET_KEY`: the head under the old one, by which older logs know
/// this chain.
pub(super) fn rotation(by: &Actor, instance: Uuid, old: ChainHead) -> AuditEntry {
    let before = json!({ "head": old.mac.to_string() });
    entry("rotate_secret", by, ("instance", instance.to_string()), Some(&before), None)
}

/// A chain that does not hold is not carried over: it would hold afterwards.
pub(super) fn broken(fault: Break) -> StoreError {
    StoreError::Incompatible(format!("the chain of the audit log is broken: {fault}"))
}

/// An address as we would have written it, so that a dialect's spelling is no difference.
pub(super) fn address(text: String) -> String {
    text.parse::<std::net::IpAddr>().map_or(text, |ip| ip.to_string())
}

/// The `seq` that a page begins after.
pub(super) fn cursor(after: Option<&str>) -> Result<Option<i64>, StoreError> {
    let parse = |text: &str| text.parse().map_err(|_| StoreError::Invalid("the cursor is unknown"));
    after.map(parse).transpose()
}

/// The rows as the audit log keeps them. Rows hold no digest, so neither does the log.
pub(super) fn user(row: &UserRow) -> Value {
    json!({
        "email": row.email,
        "display_name": row.display_name,
        "subscription_tier": row.subscription_tier,
        "is_locked": row.is_locked,
        "locked_until": row.locked_until,
        "lock_reason": row.lock_reason,
        "roles": row.roles,
        "deleted_at": row.deleted_at,
    })
}

pub(super) fn role(row: &RoleRow) -> Value {
    let permissions: Vec<_> = row.permissions.iter().map(|pattern| pattern.as_str()).collect();
    json!({ "description": row.description, "permissions": permissions })
}

pub(super) fn permission(row: &PermissionRow) -> Value {
    json!({ "category": row.category, "description": row.description })
}

pub(super) fn key(row: &KeyRow) -> Value {
    let permissions: Vec<_> = row.permissions.iter().map(|pattern| pattern.as_str()).collect();
    json!({
        "user_id": row.user_id,
        "lookup_id": row.lookup_id.map(|id| id.to_string()),
        "name": row.name,
        "permissions": permissions,
        "environment": row.environment.as_str(),
        "allowed_ips": row.allowed_ips,
        "rate": row.rate,
        "quota": row.quota,
        "expires_at": row.expires_at,
        "disabled": row.disabled,
        "revoked_at": row.revoked_at,
        "metadata": row.metadata,
        "rotated_from": row.rotated_from,
    })
}
