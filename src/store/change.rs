use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use super::{KeyRow, RoleRow, UserRow};
use crate::key::{Digest, Environment, LookupId, Pattern, Permission};

/// Who makes a change, for the audit log.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The acting user; `None` is the command line, straight on the store.
    pub user_id: Option<Uuid>,
    pub key_id: Option<Uuid>,
    pub ip: Option<IpAddr>,
    pub request_id: Option<Uuid>,
    pub at: Timestamp,
}

/// Every change that can be made to users, roles, permissions and keys.
#[derive(Clone, Debug)]
pub enum Change {
    /// The first admin: a user with the role `admin` and a key, in one step.
    ///
    /// Refused with [`StoreError::Conflict`](super::StoreError) `admin` when there is one,
    /// unless `again`.
    Bootstrap {
        user: NewUser,
        key: NewKey,
        again: bool,
    },
    CreateUser(NewUser),
    UpdateUser {
        id: Uuid,
        patch: UserPatch,
    },
    /// Marks the account deleted and revokes its keys.
    DeleteUser {
        id: Uuid,
    },
    LockUser {
        id: Uuid,
        until: Option<Timestamp>,
        reason: Option<String>,
    },
    UnlockUser {
        id: Uuid,
    },
    AddRoles {
        user: Uuid,
        roles: Vec<String>,
    },
    RemoveRole {
        user: Uuid,
        role: String,
    },
    CreateRole(NewRole),
    UpdateRole {
        name: String,
        patch: RolePatch,
    },
    DeleteRole {
        name: String,
    },
    CreatePermission(NewPermission),
    DeletePermission {
        name: Permission,
    },
    CreateKey(NewKey),
    UpdateKey {
        id: Uuid,
        patch: KeyPatch,
    },
    /// Makes `new` and ends the old key at `old_expires_at`, or revokes it when that is not after
    /// the time of the change.
    RotateKey {
        id: Uuid,
        new: NewKey,
        old_expires_at: Timestamp,
    },
    RevokeKey {
        id: Uuid,
    },
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its number in the change feed.
    pub seq: u64,
}

#[derive(Clone, Debug)]
pub struct NewUser {
    pub id: Uuid,
    pub email: String,
    pub display_name: Option<String>,
    pub tier: Option<String>,
    pub roles: Vec<String>,
}

/// For each member: absent, or the new value.
#[derive(Clone, Debug, Default)]
pub struct UserPatch {
    pub email: Option<String>,
    pub display_name: Option<Option<String>>,
    pub tier: Option<Option<String>>,
    pub roles: Option<Vec<String>>,
}

#[derive(Clone, Debug)]
pub struct NewRole {
    pub name: String,
    pub description: Option<String>,
    pub permissions: Vec<Pattern>,
}

#[derive(Clone, Debug, Default)]
pub struct RolePatch {
    pub description: Option<Option<String>>,
    pub permissions: Option<Vec<Pattern>>,
}

#[derive(Clone, Debug)]
pub struct NewPermission {
    pub name: Permission,
    pub category: Option<String>,
    pub description: Option<String>,
}

#[derive(Clone, Debug)]
pub struct NewKey {
    pub id: Uuid,
    pub user_id: Uuid,
    /// `None` for a key imported by its digest.
    pub lookup_id: Option<LookupId>,
    pub digest: Digest,
    pub name: String,
    pub permissions: Vec<Pattern>,
    pub environment: Environment,
    pub allowed_ips: Vec<IpNet>,
    pub rate: Option<String>,
    pub quota: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub metadata: Option<serde_json::Value>,
    pub rotated_from: Option<Uuid>,
}

#[derive(Clone, Debug, Default)]
pub struct KeyPatch {
    pub name: Option<String>,
    pub permissions: Option<Vec<Pattern>>,
    pub allowed_ips: Option<Vec<IpNet>>,
    pub rate: Option<Option<String>>,
    pub quota: Option<Option<String>>,
    pub expires_at: Option<Option<Timestamp>>,
    pub disabled: Option<bool>,
    /// Merged into what is kept (RFC 7396): a member that is null is removed.
    pub metadata: Option<Option<serde_json::Value>>,
}

impl UserPatch {
    /// Roles are rows of their own; the rest is set here.
    pub(super) fn apply(self, row: &mut UserRow) {
        set(&mut row.email, self.email);
        set(&mut row.display_name, self.display_name);
        set(&mut row.subscription_tier, self.tier);
    }
}

impl RolePatch {
    pub(super) fn apply(self, row: &mut RoleRow) {
        set(&mut row.description, self.description);
        set(&mut row.permissions, self.permissions);
    }
}

impl KeyPatch {
    pub(super) fn apply(self, row: &mut KeyRow) {
        set(&mut row.name, self.name);
        set(&mut row.permissions, self.permissions);
        set(&mut row.allowed_ips, self.allowed_ips);
        set(&mut row.rate, self.rate);
        set(&mut row.quota, self.quota);
        set(&mut row.expires_at, self.expires_at);
        set(&mut row.disabled, self.disabled);
        match self.metadata {
            Some(Some(patch)) => merge(row.metadata.get_or_insert_default(), patch),
            metadata => set(&mut row.metadata, metadata),
        }
    }
}

fn set<T>(member: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *member = value;
    }
}

/// RFC 7396, for the one member that is a document itself.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(members) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(kept) = target else { return };
    for (name, value) in members {
        match value {
            Value::Null => drop(kept.remove(&name)),
            value => merge(kept.entry(name).or_insert(Value::Null), value),
        }
    }
}

/// Emails are one whatever their case and spelling, in all of Unicode; neither database can be
/// relied on to know that.
pub(super) fn fold_email(email: &str) -> String {
    email.nfc().collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_changes_what_it_names_and_removes_what_is_null() {
        let merged = |mut target: Value, patch| {
            merge(&mut target, patch);
            target
        };
        assert_eq!(merged(json!({"a": 1, "b": 2}), json!({"b": null})), json!({"a": 1}));
        assert_eq!(
            merged(json!({"a": {"b": 1}}), json!({"a": {"c": 2}})),
            json!({"a": {"b": 1, "c": 2}})
        );
        assert_eq!(merged(json!({"a": "b"}), json!({"a": {"c": null}})), json!({"a": {}}));
        assert_eq!(merged(json!({"a": [1]}), json!({"a": [2]})), json!({"a": [2]}));
        assert_eq!(merged(Value::Null, json!({"a": 1, "b": null})), json!({"a": 1}));
    }
}
