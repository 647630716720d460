use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::lockout::{EventKind, Target};
use crate::store::{EventRow, FailedAttempts, LockoutRow};

#[derive(Serialize)]
pub struct BlockView {
    id: Uuid,
    /// `source`, `guess` (an account for one source), `account` or `key`.
    kind: &'static str,
    source: Option<String>,
    user_id: Option<Uuid>,
    key_id: Option<Uuid>,
    since: Timestamp,
    until: Timestamp,
    strikes: u8,
}

impl BlockView {
    pub fn new(LockoutRow { id, lock }: LockoutRow) -> Self {
        let (user_id, key_id) = whose(lock.target);
        Self {
            id,
            kind: lock.target.kind(),
            source: lock.target.source().map(|source| source.to_string()),
            user_id,
            key_id,
            since: lock.at,
            until: lock.until,
            strikes: lock.strikes,
        }
    }
}

#[derive(Serialize)]
pub struct AttemptsView {
    kind: &'static str,
    source: Option<String>,
    user_id: Option<Uuid>,
    key_id: Option<Uuid>,
    /// What tells one misuse from another.
    what: Option<String>,
    count: u64,
    last_at: Timestamp,
}

impl AttemptsView {
    pub fn new(attempts: FailedAttempts) -> Self {
        let (user_id, key_id) = whose(attempts.target);
        Self {
            kind: attempts.target.kind(),
            source: attempts.target.source().map(|source| source.to_string()),
            user_id,
            key_id,
            what: Some(attempts.what).filter(|what| !what.is_empty()),
            count: attempts.count,
            last_at: attempts.last_at,
        }
    }
}

fn whose(target: Target) -> (Option<Uuid>, Option<Uuid>) {
    match target {
        Target::Source(_) => (None, None),
        Target::Guess(user, _) | Target::Account(user) => (Some(user), None),
        Target::Key(key) => (None, Some(key)),
    }
}

#[derive(Serialize)]
pub struct EventView {
    pub seq: u64,
    id: Uuid,
    at: Timestamp,
    kind: String,
    summary: Option<&'static str>,
    node: String,
    user_id: Option<Uuid>,
    key_id: Option<Uuid>,
    source: Option<String>,
    evidence: serde_json::Value,
}

impl EventView {
    pub fn new(row: EventRow) -> Self {
        Self {
            seq: row.seq,
            id: row.id,
            at: row.at,
            summary: EventKind::parse(&row.kind).map(EventKind::summary),
            kind: row.kind,
            node: row.node,
            user_id: row.user_id,
            key_id: row.key_id,
            source: row.source,
            evidence: row.evidence,
        }
    }
}
