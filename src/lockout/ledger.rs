//! What nodes tell each other through the store: who failed how often, who is locked, where
//! accounts are at home.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::Source;

/// What attempts count against, and what a lock is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Everything from a source but keys whose ids are ours.
    Source(Source),
    /// An account, for one source alone.
    Guess(Uuid, Source),
    /// An account, everywhere.
    Account(Uuid),
    /// One key, everywhere.
    Key(Uuid),
}

impl Target {
    pub const fn kind(&self) -> &'static str {
        match self {
            Target::Source(_) => "source",
            Target::Guess(..) => "guess",
            Target::Account(_) => "account",
            Target::Key(_) => "key",
        }
    }

    /// The account or key; nobody's, for a source.
    pub const fn subject(&self) -> Uuid {
        match self {
            Target::Source(_) => Uuid::nil(),
            Target::Guess(id, _) | Target::Account(id) | Target::Key(id) => *id,
        }
    }

    pub const fn source(&self) -> Option<Source> {
        match self {
            Target::Source(source) | Target::Guess(_, source) => Some(*source),
            Target::Account(_) | Target::Key(_) => None,
        }
    }

    /// What the three say together.
    pub fn from_parts(kind: &str, subject: Uuid, source: Option<Source>) -> Option<Self> {
        Some(match (kind, source) {
            ("source", Some(source)) => Target::Source(source),
            ("guess", Some(source)) => Target::Guess(subject, source),
            ("account", None) => Target::Account(subject),
            ("key", None) => Target::Key(subject),
            _ => return None,
        })
    }
}

/// Failed attempts of one kind in one slot of the window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempts {
    pub target: Target,
    /// What tells one misuse from another; empty for what is counted one by one.
    pub what: Box<str>,
    /// The lock or clearing that they came after; what was counted before one is over with it.
    pub since: Timestamp,
    pub slot_at: Timestamp,
    pub count: u32,
}

/// A lock, or the memory of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub target: Target,
    pub at: Timestamp,
    pub until: Timestamp,
    /// How many there have been without a quiet time between them.
    pub strikes: u8,
    /// When somebody lifted it, and forgave what had been counted.
    pub cleared_at: Option<Timestamp>,
}

/// Where an account authenticated well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KnownSource {
    pub user_id: Uuid,
    pub source: Source,
    pub last_seen: Timestamp,
}

/// What one node has to say, or what all of them have said.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// From a node: so many more. From the store: so many in all.
    pub attempts: Vec<Attempts>,
    pub locks: Vec<Lock>,
    pub known: Vec<KnownSource>,
}

/// How far back the store looks for what is new to a node.
#[derive(Clone, Copy, Debug)]
pub struct Recent(pub Duration);
