use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Actor, Page, PageRequest, StoreError};
use crate::lockout::{EventKind, Ledger, Lock, Recent, SecurityEvent, Source, Target};

/// What nodes tell each other about attackers, and what people are told.
///
/// # Promises
///
/// - **Counts add up.** What nodes report for one target, attempt and slot is summed.
/// - **One lock at a time.** A lock on a target that is locked changes nothing: the first stays,
///   and every node learns of it.
/// - **A clearing is whole.** Lifting a lock, or unlocking a user, ends it and forgets what led to
///   it, in one transaction; nodes learn of both from the lock's row.
/// - **Events are kept once**, by their fingerprint, and numbered in the order of commits.
#[async_trait]
pub trait SecurityStore: Send + Sync + 'static {
    /// Adds what a node has to say, and answers with what is new within `recent`.
    async fn exchange(&self, said: &Ledger, recent: Recent) -> Result<Ledger, StoreError>;

    /// The locks that are in force at `now`.
    async fn lockouts(
        &self,
        filter: &LockoutFilter,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<LockoutRow>, StoreError>;

    /// Ends a lock that is in force, and records as an event who did.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    async fn lift(&self, id: Uuid, by: &Actor) -> Result<Lock, StoreError>;

    /// Failed attempts that are remembered, the newest first, at most two hundred.
    async fn failed_attempts(
        &self,
        filter: &AttemptFilter,
    ) -> Result<Vec<FailedAttempts>, StoreError>;

    /// Keeps events, and answers with those that were not kept before.
    async fn record_events(&self, events: &[SecurityEvent]) -> Result<Vec<Uuid>, StoreError>;

    async fn events(
        &self,
        filter: &EventFilter,
        order: EventOrder,
        page: &PageRequest,
    ) -> Result<Page<EventRow>, StoreError>;

    /// Whose roles were changed after `seq` of the audit log; with `None`, how far it goes.
    async fn role_changes(&self, after: Option<u64>) -> Result<RoleChanges, StoreError>;

    /// Forgets what was counted before `attempts`, and events before `events`.
    async fn forget_security(
        &self,
        attempts: Timestamp,
        events: Timestamp,
    ) -> Result<(), StoreError>;
}

/// What has to settle before a refusal means anything.
#[derive(Clone, Debug, Default)]
pub struct RoleChanges {
    /// How far the audit log was read.
    pub seq: u64,
    pub users: Vec<Uuid>,
    pub roles: Vec<String>,
    /// A role is gone: who held it is not known any more.
    pub role_gone: bool,
}

impl RoleChanges {
    pub(super) fn note(&mut self, action: &str, subject: String) -> Result<(), StoreError> {
        match action {
            "update_role" => self.roles.push(subject),
            "delete_role" => self.role_gone = true,
            _ => self.users.push(super::stored::uuid(&subject)?),
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
pub struct LockoutRow {
    pub id: Uuid,
    pub lock: Lock,
}

#[derive(Clone, Debug, Default)]
pub struct LockoutFilter {
    pub user_id: Option<Uuid>,
    pub source: Option<Source>,
}

/// Attempts of one kind, over all slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempts {
    pub target: Target,
    /// What tells one misuse from another; empty for guesses and failures.
    pub what: String,
    pub count: u64,
    pub last_at: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub struct AttemptFilter {
    pub user_id: Option<Uuid>,
    pub source: Option<Source>,
}

#[derive(Clone, Debug)]
pub struct EventRow {
    pub seq: u64,
    pub id: Uuid,
    pub at: Timestamp,
    /// One of [`EventKind`], or of a newer version's.
    pub kind: String,
    pub node: String,
    pub user_id: Option<Uuid>,
    pub key_id: Option<Uuid>,
    pub source: Option<String>,
    pub evidence: serde_json::Value,
}

#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    pub kind: Option<EventKind>,
    pub user_id: Option<Uuid>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrder {
    OldestFirst,
    NewestFirst,
}

impl EventOrder {
    /// The condition that a page goes on by, and the order.
    pub(super) const fn sql(self) -> (&'static str, &'static str) {
        match self {
            EventOrder::OldestFirst => ("seq > ?", "seq"),
            EventOrder::NewestFirst => ("seq < ?", "seq DESC"),
        }
    }
}

/// Rows of one table that one exchange reads: what is older follows when it grows again.
pub(super) const EXCHANGED: i64 = 10_000;

/// Rows of the audit log that are read at a time.
pub(super) const CHANGES: i64 = 1_000;

/// Rows of failed attempts that people are shown.
pub(super) const SHOWN: i64 = 200;

/// The event that a lifting is recorded as.
pub(super) fn lifted(lock: &Lock, by: &Actor) -> SecurityEvent {
    use crate::lockout::Finding;
    let id = |id: Option<Uuid>| id.map(|id| id.to_string());
    let finding = Finding::new(EventKind::BlockLifted)
        .with("lifted", lock.target.kind())
        .with("by_user_id", id(by.user_id))
        .with("by_key_id", id(by.key_id))
        .with("by_ip", by.ip.map(|ip| ip.to_string()))
        .with("request_id", id(by.request_id))
        .with("until", lock.until.to_string());
    let finding = Finding { source: lock.target.source(), ..finding };
    let finding = match lock.target {
        Target::Source(_) => finding,
        Target::Guess(user, _) | Target::Account(user) => finding.user(user),
        Target::Key(key) => finding.key(key),
    };
    SecurityEvent { id: Uuid::now_v7(), at: by.at, node: "".into(), finding }
}
