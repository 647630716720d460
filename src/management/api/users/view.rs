use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::key::AccountLock;
use crate::store::UserRow;

#[derive(Serialize)]
pub struct UserView {
    id: Uuid,
    email: String,
    display_name: Option<String>,
    subscription_tier: Option<String>,
    is_locked: bool,
    locked_until: Option<Timestamp>,
    lock_reason: Option<String>,
    roles: Vec<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Guesses and misuses that are remembered; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_attempts: Option<u64>,
}

impl UserView {
    /// As of `now`: a lock that has run out is none, whatever the row remembers.
    pub(super) fn new(row: UserRow, now: Timestamp) -> Self {
        let is_locked = row.is_locked && AccountLock { until: row.locked_until }.holds(now);
        Self {
            id: row.id,
            email: row.email,
            display_name: row.display_name,
            subscription_tier: row.subscription_tier,
            is_locked,
            locked_until: row.locked_until.filter(|_| is_locked),
            lock_reason: row.lock_reason.filter(|_| is_locked),
            roles: row.roles,
            created_at: row.created_at,
            updated_at: row.updated_at,
            failed_attempts: None,
        }
    }

    pub(super) fn with_attempts(self, count: u64) -> Self {
        Self { failed_attempts: Some(count), ..self }
    }
}
