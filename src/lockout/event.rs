use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Source;

/// What an operator should know. The code is the metric label, the name in the store, the filter
/// of the API and of webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    SourceBlocked,
    BruteForce,
    DistributedGuessing,
    CredentialStuffing,
    Misuse,
    PermissionProbing,
    ManySources,
    RevokedKeyUsed,
    ExpiredKeyUsed,
    SuddenVolume,
    BlockLifted,
    KeyExpiring,
    KeyUnused,
}

impl EventKind {
    pub const ALL: &'static [EventKind] = &[
        EventKind::SourceBlocked,
        EventKind::BruteForce,
        EventKind::DistributedGuessing,
        EventKind::CredentialStuffing,
        EventKind::Misuse,
        EventKind::PermissionProbing,
        EventKind::ManySources,
        EventKind::RevokedKeyUsed,
        EventKind::ExpiredKeyUsed,
        EventKind::SuddenVolume,
        EventKind::BlockLifted,
        EventKind::KeyExpiring,
        EventKind::KeyUnused,
    ];

    pub const fn code(self) -> &'static str {
        match self {
            EventKind::SourceBlocked => "source_blocked",
            EventKind::BruteForce => "brute_force",
            EventKind::DistributedGuessing => "distributed_guessing",
            EventKind::CredentialStuffing => "credential_stuffing",
            EventKind::Misuse => "misuse",
            EventKind::PermissionProbing => "permission_probing",
            EventKind::ManySources => "many_sources",
            EventKind::RevokedKeyUsed => "revoked_key_used",
            EventKind::ExpiredKeyUsed => "expired_key_used",
            EventKind::SuddenVolume => "sudden_volume",
            EventKind::BlockLifted => "block_lifted",
            EventKind::KeyExpiring => "key_expiring",
            EventKind::KeyUnused => "key_unused",
        }
    }

    /// For people.
    pub const fn summary(self) -> &'static str {
        match self {
            EventKind::SourceBlocked => "An address failed too often and is blocked for a while",
            EventKind::BruteForce => "An address guesses at the secret of a known key",
            EventKind::DistributedGuessing => "Many addresses guess at one account's keys",
            EventKind::CredentialStuffing => "One address tries many key ids",
            EventKind::Misuse => "An account's key was refused in many different ways",
            EventKind::PermissionProbing => "A key tries many routes that it may not use",
            EventKind::ManySources => "An account is used from unusually many new addresses",
            EventKind::RevokedKeyUsed => "A revoked key was used",
            EventKind::ExpiredKeyUsed => "An expired key was used",
            EventKind::SuddenVolume => "A key is used far more than it was before",
            EventKind::BlockLifted => "An administrator lifted a block",
            EventKind::KeyExpiring => "A key ends within two weeks",
            EventKind::KeyUnused => "A key has not been used for 90 days",
        }
    }

    /// Seconds in which a second one is none: as long as an attack's next step is news, and as a
    /// key goes on being what it is.
    const fn period(self) -> i64 {
        const DAY: i64 = 24 * 60 * 60;
        match self {
            EventKind::KeyExpiring => 14 * DAY,
            EventKind::KeyUnused => 90 * DAY,
            _ => 15 * 60,
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

/// Something that was noticed, and whom it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub kind: EventKind,
    pub user_id: Option<Uuid>,
    pub key_id: Option<Uuid>,
    pub source: Option<Source>,
    /// What it was noticed by. Never a secret, never what a stranger wrote.
    pub evidence: Map<String, Value>,
}

impl Finding {
    pub fn new(kind: EventKind) -> Self {
        Self { kind, user_id: None, key_id: None, source: None, evidence: Map::new() }
    }

    pub fn source(self, source: Source) -> Self {
        Self { source: Some(source), ..self }
    }

    pub fn user(self, id: Uuid) -> Self {
        Self { user_id: Some(id), ..self }
    }

    pub fn key(self, id: Uuid) -> Self {
        Self { key_id: Some(id), ..self }
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.evidence.insert(name.to_owned(), value.into());
        self
    }

    /// The same thing about the same subject within the same period is one event, whichever node
    /// noticed it.
    pub fn fingerprint(&self, at: Timestamp) -> String {
        let id = |id: Option<Uuid>| id.map_or_else(String::new, |id| id.simple().to_string());
        let source = self.source.filter(|_| self.is_about_its_source());
        let source = source.map_or_else(String::new, |source| source.to_string());
        let period = at.as_second().div_euclid(self.kind.period());
        format!("{}|{}|{}|{source}|{period}", self.kind.code(), id(self.user_id), id(self.key_id))
    }

    /// Of the others the source is evidence: a second one is no second event.
    fn is_about_its_source(&self) -> bool {
        use EventKind::*;
        matches!(self.kind, SourceBlocked | BruteForce | CredentialStuffing | BlockLifted)
    }
}

/// A finding on its way to the log, the store and the webhooks.
#[derive(Clone, Debug, PartialEq)]
pub struct SecurityEvent {
    /// UUID v7.
    pub id: Uuid,
    pub at: Timestamp,
    /// The node that noticed it.
    pub node: Box<str>,
    pub finding: Finding,
}

impl SecurityEvent {
    pub fn fingerprint(&self) -> String {
        self.finding.fingerprint(self.at)
    }
}
