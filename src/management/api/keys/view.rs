use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::key::Secret;
use crate::store::{Actor, KeyRow, NewKey};

/// Everything about a key but its secret, which nobody has any more.
#[derive(Serialize)]
pub struct KeyView {
    pub(super) id: Uuid,
    lookup_id: Option<String>,
    user_id: Uuid,
    name: String,
    permissions: Vec<String>,
    environment: String,
    allowed_ips: Vec<String>,
    rate: Option<String>,
    quota: Option<String>,
    expires_at: Option<Timestamp>,
    disabled: bool,
    revoked_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    metadata: Option<Value>,
    rotated_from: Option<Uuid>,
    created_by: Option<Uuid>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<KeyRow> for KeyView {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id,
            lookup_id: row.lookup_id.map(|id| id.to_string()),
            user_id: row.user_id,
            name: row.name,
            permissions: row.permissions.iter().map(ToString::to_string).collect(),
            environment: row.environment.as_str().to_owned(),
            allowed_ips: row.allowed_ips.iter().map(ToString::to_string).collect(),
            rate: row.rate,
            quota: row.quota,
            expires_at: row.expires_at,
            disabled: row.disabled,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
            metadata: row.metadata,
            rotated_from: row.rotated_from,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl KeyView {
    /// Made of what was committed instead of reading it back: a store that goes away in between
    /// must not cost the owner the secret.
    pub(super) fn of_new(new: NewKey, by: &Actor) -> Self {
        KeyRow {
            id: new.id,
            user_id: new.user_id,
            lookup_id: new.lookup_id,
            name: new.name,
            permissions: new.permissions,
            environment: new.environment,
            allowed_ips: new.allowed_ips,
            rate: new.rate,
            quota: new.quota,
            expires_at: new.expires_at,
            disabled: false,
            revoked_at: None,
            last_used_at: None,
            metadata: new.metadata,
            rotated_from: new.rotated_from,
            created_by: by.user_id,
            created_at: by.at,
            updated_at: by.at,
        }
        .into()
    }

    /// A key that takes the place of another is out of use if that one was.
    pub(super) fn in_place_of(self, old_is_disabled: bool) -> Self {
        Self { disabled: old_is_disabled, ..self }
    }
}

/// The one answer that shows a key.
#[derive(Serialize)]
pub struct CreatedKey<'a> {
    #[serde(flatten)]
    key: KeyView,
    api_key: &'a str,
}

impl<'a> CreatedKey<'a> {
    pub(super) fn new(key: KeyView, secret: &'a Secret) -> Self {
        Self { key, api_key: secret.reveal() }
    }
}
