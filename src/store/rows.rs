//! What people see of the store's contents.

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::ChainMac;
use crate::key::{Environment, LookupId, Pattern, Permission};

#[derive(Clone, Debug)]
pub struct UserRow {
    pub id: Uuid,
    pub email: String,
    pub display_name: Option<String>,
    pub subscription_tier: Option<String>,
    pub is_locked: bool,
    pub locked_until: Option<Timestamp>,
    pub lock_reason: Option<String>,
    pub roles: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct RoleRow {
    pub name: String,
    pub description: Option<String>,
    pub permissions: Vec<Pattern>,
    pub built_in: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct PermissionRow {
    pub name: Permission,
    pub category: Option<String>,
    pub description: Option<String>,
    pub built_in: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct KeyRow {
    pub id: Uuid,
    pub user_id: Uuid,
    pub lookup_id: Option<LookupId>,
    pub name: String,
    pub permissions: Vec<Pattern>,
    pub environment: Environment,
    pub allowed_ips: Vec<IpNet>,
    pub rate: Option<String>,
    pub quota: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub disabled: bool,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub metadata: Option<serde_json::Value>,
    pub rotated_from: Option<Uuid>,
    pub created_by: Option<Uuid>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Who changed what. Everything is text as the store keeps it: what somebody put there past us
/// must be told, not stumbled over.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub at: Timestamp,
    pub action: String,
    pub actor_user_id: Option<String>,
    pub actor_key_id: Option<String>,
    pub actor_ip: Option<String>,
    pub request_id: Option<String>,
    pub subject_kind: String,
    pub subject_id: String,
    /// JSON.
    pub before: Option<String>,
    pub after: Option<String>,
}

impl AuditEntry {
    /// All but the time, in the order of the columns.
    pub fn texts(&self) -> [Option<&str>; 9] {
        [
            Some(&self.action),
            self.actor_user_id.as_deref(),
            self.actor_key_id.as_deref(),
            self.actor_ip.as_deref(),
            self.request_id.as_deref(),
            Some(&self.subject_kind),
            Some(&self.subject_id),
            self.before.as_deref(),
            self.after.as_deref(),
        ]
    }
}

/// An entry in its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    pub seq: u64,
    pub entry: AuditEntry,
    pub mac: ChainMac,
}

#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub action: Option<String>,
    pub actor_user_id: Option<Uuid>,
    pub subject_kind: Option<String>,
    pub subject_id: Option<String>,
    pub from: Option<Timestamp>,
    /// Which is not meant any more.
    pub to: Option<Timestamp>,
}

/// Which end of a log comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    NewestFirst,
}

/// Deleted users are never listed.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Exact, whatever the case.
    pub email: Option<String>,
    pub role: Option<String>,
    /// A lock holds at this time.
    pub locked_at: Option<Timestamp>,
    /// None does.
    pub unlocked_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    pub user_id: Option<Uuid>,
    pub environment: Option<String>,
    /// The public part of the key.
    pub lookup_id: Option<LookupId>,
    pub revoked: Option<bool>,
    pub disabled: Option<bool>,
    /// Ends before this.
    pub expires_before: Option<Timestamp>,
    pub never_used: Option<bool>,
    /// Neither made nor used since.
    pub unused_since: Option<Timestamp>,
    /// Neither revoked, nor disabled, nor expired then.
    pub working_at: Option<Timestamp>,
}

/// Why somebody should look at a key that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    NearingExpiry,
    NeverUsed,
    Unused,
}

impl Attention {
    /// Those that are counted, one by one.
    pub fn filter(self, now: Timestamp) -> KeyFilter {
        let (soon, long_ago) = KeyCounts::limits(now);
        let working = KeyFilter { working_at: Some(now), ..KeyFilter::default() };
        match self {
            Attention::NearingExpiry => KeyFilter { expires_before: Some(soon), ..working },
            Attention::NeverUsed => KeyFilter { never_used: Some(true), ..working },
            Attention::Unused => KeyFilter { unused_since: Some(long_ago), ..working },
        }
    }
}

/// Keys that work, and those of them that somebody should look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Neither revoked, nor disabled, nor expired.
    pub working: u64,
    /// End within [`KeyCounts::NEARING_EXPIRY`].
    pub nearing_expiry: u64,
    pub never_used: u64,
    /// Neither made nor used within [`KeyCounts::UNUSED`].
    pub unused: u64,
}

impl KeyCounts {
    pub const NEARING_EXPIRY: SignedDuration = SignedDuration::from_hours(14 * 24);
    pub const UNUSED: SignedDuration = SignedDuration::from_hours(90 * 24);

    /// Where the counts begin and end in time.
    pub(super) fn limits(now: Timestamp) -> (Timestamp, Timestamp) {
        let soon = now.saturating_add(Self::NEARING_EXPIRY).unwrap_or(Timestamp::MAX);
        (soon, now.saturating_sub(Self::UNUSED).unwrap_or(Timestamp::MIN))
    }
}

/// A page of a list in the order of its unique key: rows inserted while it is walked never make
/// a row come twice or not at all.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// 1 to 200.
    pub limit: usize,
    /// The last unique key of the page before (an id or a name).
    pub after: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl PageRequest {
    pub(super) fn limit(&self) -> usize {
        self.limit.clamp(1, 200)
    }

    /// One row more than the page holds tells whether there is a next one.
    pub(super) fn rows_to_read(&self) -> i64 {
        self.limit() as i64 + 1
    }
}

impl<T> Page<T> {
    /// The page out of `rows_to_read` rows; `key` is the unique key that they are ordered by.
    pub(super) fn cut(mut rows: Vec<T>, request: &PageRequest, key: impl Fn(&T) -> String) -> Self {
        let is_last = rows.len() <= request.limit();
        rows.truncate(request.limit());
        let next = if is_last { None } else { rows.last().map(key) };
        Self { rows, next }
    }
}
