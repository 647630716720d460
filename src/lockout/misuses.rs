use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{
    EventKind, Finding, Lock, Lockout, OnMisuse, Settings, Source, Target, one, slot, slot_start,
};
use crate::key::KeyRecord;

/// The most different misuses that can be asked for, and that are remembered.
pub const MOST: usize = 256;

/// Changes of accounts and roles that are remembered while they settle.
const CHANGES: usize = 4_096;

/// The secret was right, the request was not: only the owner or a thief can do that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse<'a> {
    /// A permission was missing, or the address not allowed, on this route.
    Route(&'a str),
    RevokedKey,
}

impl Lockout {
    /// Different ones count, the same one again does not: a stuck client repeats itself, an
    /// intruder explores.
    pub fn misused(
        &self,
        key: &KeyRecord,
        misuse: Misuse<'_>,
        source: Source,
        now: Timestamp,
    ) -> Vec<Finding> {
        let settings = self.settings.load();
        if self.settling.covers(key, settings.settle, now) {
            return Vec::new();
        }
        let target = match settings.on_misuse {
            OnMisuse::LockKey => Target::Key(key.id),
            OnMisuse::LockAccount | OnMisuse::Alert => Target::Account(key.owner.id),
        };
        let what = match misuse {
            Misuse::Route(name) => format!("route {name}"),
            Misuse::RevokedKey => format!("revoked key at {source}"),
        };
        let number = self.misuses.number(&*what);
        let slot = slot(now, settings.window);
        let mut findings = Vec::new();
        self.misuses.change(target.subject(), now.as_microsecond(), |tally| {
            tally.touch(now);
            if tally.holds(now, settings.lock()) || !tally.distinct.note(number, slot, MOST) {
                return;
            }
            let start = slot_start(slot, settings.window);
            self.outbox.attempts(one(target, &what, tally, start));
            let different = tally.distinct.count(slot);
            if matches!(misuse, Misuse::Route(_)) && different == probing(&settings) {
                findings.push(probed(key, source, different, &settings));
            }
            if different >= settings.misuses {
                let lock = (settings.on_misuse != OnMisuse::Alert)
                    .then(|| tally.lock(target, now, settings.lock()));
                lock.iter().for_each(|lock| self.announce(lock));
                let finding = misuse_of(target, different, lock.as_ref(), &settings);
                findings.push(finding.user(key.owner.id).key(key.id).source(source));
            }
        });
        findings
    }

    /// The routes are others than before: who is refused now may not be to blame.
    pub fn routes_changed(&self, now: Timestamp) {
        self.settling.routes.store(now.as_microsecond(), Ordering::Relaxed);
    }

    pub fn account_changed(&self, user: Uuid, now: Timestamp) {
        self.settling.note(Changed::Account(user), now, self.settings.load().settle);
    }

    pub fn role_changed(&self, name: &str, now: Timestamp) {
        self.settling.note(Changed::Role(name.into()), now, self.settings.load().settle);
    }
}

/// Half of what locks is worth a look.
fn probing(settings: &Settings) -> u32 {
    (settings.misuses / 2).max(2)
}

fn probed(key: &KeyRecord, source: Source, routes: u32, settings: &Settings) -> Finding {
    Finding::new(EventKind::PermissionProbing)
        .user(key.owner.id)
        .key(key.id)
        .source(source)
        .with("routes", routes)
        .with("window_seconds", settings.window.as_secs())
}

pub(super) fn misuse_of(
    target: Target,
    different: u32,
    lock: Option<&Lock>,
    settings: &Settings,
) -> Finding {
    let finding = Finding::new(EventKind::Misuse)
        .with("different", different)
        .with("window_seconds", settings.window.as_secs())
        .with("locked", lock.map_or("nothing", |_| target.kind()));
    match lock {
        Some(lock) => {
            finding.with("locked_until", lock.until.to_string()).with("strikes", lock.strikes)
        }
        None => finding,
    }
}

/// What changed lately, and has to settle before refusals mean anything.
#[derive(Default)]
pub struct Settling {
    routes: AtomicI64,
    changes: Mutex<HashMap<Changed, i64>>,
}

#[derive(PartialEq, Eq, Hash)]
enum Changed {
    Account(Uuid),
    Role(Box<str>),
}

impl Settling {
    fn note(&self, changed: Changed, now: Timestamp, settle: Duration) {
        let mut changes = self.changes.lock();
        if changes.len() >= CHANGES {
            changes.retain(|_, at| is_recent(*at, now, settle));
        }
        // More changes at once than can be told apart: then nobody is to blame.
        if changes.len() >= CHANGES {
            self.routes.store(now.as_microsecond(), Ordering::Relaxed);
        } else {
            changes.insert(changed, now.as_microsecond());
        }
    }

    fn covers(&self, key: &KeyRecord, settle: Duration, now: Timestamp) -> bool {
        if is_recent(self.routes.load(Ordering::Relaxed), now, settle) {
            return true;
        }
        let changes = self.changes.lock();
        let settles = |changed| changes.get(&changed).is_some_and(|at| is_recent(*at, now, settle));
        !changes.is_empty()
            && (settles(Changed::Account(key.owner.id))
                || key.owner.roles.iter().any(|role| settles(Changed::Role(role.clone()))))
    }
}

fn is_recent(at: i64, now: Timestamp, settle: Duration) -> bool {
    let passed = (now.as_microsecond() - at).unsigned_abs();
    u128::from(passed) < settle.as_micros()
}
