//! The counts of `lockout` for the gate: with a clock, shared with the other nodes, and told to
//! operators.

mod worker;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::clock;
use crate::decision::{Credential, Denial, Refusal};
use crate::events::Events;
use crate::key::KeyRecord;
use crate::lockout::{EventKind, Finding, Lock, Lockout, Misuse, Settings, Source, Target};

pub use worker::Worker;

/// What the gate asks and tells about attackers. Never waits.
pub struct Guard {
    lockout: Lockout,
    events: Events,
}

/// What a credential led to, when it was not right.
#[derive(Clone, Copy, Debug)]
pub enum Stranger<'a> {
    /// No key that we know of.
    Unknown(Option<&'a Credential>),
    /// A wrong secret for this key.
    Guess(&'a KeyRecord),
}

impl Guard {
    pub fn new(settings: Settings, events: Events) -> Arc<Self> {
        Arc::new(Self { lockout: Lockout::new(settings), events })
    }

    /// Other thresholds from now on.
    pub fn reload(&self, settings: Settings) {
        self.lockout.reload(settings);
    }

    /// Refusals have to settle: who is refused by new routes may not be to blame.
    pub fn routes_changed(&self) {
        self.lockout.routes_changed(clock::now());
    }

    /// How long a source that is blocked has to wait.
    pub fn blocked(&self, source: Source) -> Option<Duration> {
        self.lockout.blocked(source, clock::now())
    }

    /// Counts a credential that was not right.
    pub fn failed(&self, source: Source, stranger: Stranger<'_>) {
        let now = clock::now();
        let id = match stranger {
            Stranger::Unknown(Some(Credential::Minted { lookup_id, .. })) => Some(lookup_id),
            Stranger::Unknown(_) => None,
            Stranger::Guess(key) => key.lookup_id.as_ref(),
        };
        self.tell(self.lockout.failed(source, id, now), now);
        if let Stranger::Guess(key) = stranger {
            self.tell(self.lockout.guessed(key, source, now), now);
        }
    }

    /// Whether the right key is locked out, here or everywhere.
    pub fn locked(&self, key: &KeyRecord, source: Source) -> bool {
        self.lockout.locked(key, source, clock::now())
    }

    /// Notes where a right key was used.
    pub fn authenticated(&self, key: &KeyRecord, source: Source) {
        let now = clock::now();
        self.tell(self.lockout.authenticated(key, source, now), now);
    }

    /// Counts what a right key was refused for, if that says something about who holds it.
    pub fn refused(&self, key: &KeyRecord, refusal: &Refusal, source: Source) {
        let now = clock::now();
        let route = refusal.route.as_ref().map_or("", |route| &route.name);
        if let Some((kind, ended)) = ended(key, refusal.denial) {
            let finding = Finding::new(kind).user(key.owner.id).key(key.id).source(source);
            let ended = ended.map(|at| at.to_string());
            self.events.emit(finding.with("route", route).with("ended_at", ended), now);
        }
        let misuse = match refusal.denial {
            Denial::KeyRevoked => Misuse::RevokedKey,
            Denial::InsufficientPermissions | Denial::IpNotAllowed => Misuse::Route(route),
            _ => return,
        };
        self.tell(self.lockout.misused(key, misuse, source, now), now);
    }

    /// An unlocked account begins anew, here at once and elsewhere within a second or so.
    pub fn forgive(&self, user: Uuid, at: Timestamp) {
        self.lockout.forgive(user, at);
    }

    /// A block that was lifted, the same way.
    pub fn lifted(&self, lock: &Lock, at: Timestamp) {
        let lock = Lock { cleared_at: Some(at), ..lock.clone() };
        self.lockout.follow(&lock, at);
    }

    /// What was noticed elsewhere.
    pub fn noticed(&self, finding: Finding, at: Timestamp) {
        self.events.emit(finding, at);
    }

    fn tell(&self, findings: Vec<Finding>, now: Timestamp) {
        findings.into_iter().for_each(|finding| self.events.emit(finding, now));
    }
}

/// How a key ended that somebody still holds, and when.
fn ended(key: &KeyRecord, denial: Denial) -> Option<(EventKind, Option<Timestamp>)> {
    match denial {
        Denial::KeyExpired => Some((EventKind::ExpiredKeyUsed, key.expires_at)),
        Denial::KeyRevoked => Some((EventKind::RevokedKeyUsed, key.revoked_at)),
        _ => None,
    }
}

/// Why an account is locked, for people.
fn reason(target: Target) -> Option<&'static str> {
    match target {
        Target::Account(_) => Some("refused in many different ways; locked automatically"),
        Target::Source(_) | Target::Guess(..) | Target::Key(_) => None,
    }
}
