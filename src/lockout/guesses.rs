use jiff::Timestamp;
use uuid::Uuid;

use super::habits::Noted;
use super::{EventKind, Finding, Lock, Lockout, Settings, Source, Target, one, slot, slot_start};
use crate::key::KeyRecord;

/// Sources that guess at one account at a time: more than people who mistype a key.
const SPREAD: u32 = 10;

impl Lockout {
    /// A wrong secret for a known key id. It locks the account where it came from and nowhere
    /// else, so that whoever knows an id can lock out only themselves.
    pub fn guessed(&self, key: &KeyRecord, source: Source, now: Timestamp) -> Vec<Finding> {
        let settings = self.settings.load();
        let user = key.owner.id;
        let slot = slot(now, settings.window);
        let mut findings = Vec::new();
        self.guesses.change((user, source), now.as_microsecond(), |tally| {
            tally.touch(now);
            if tally.holds(now, settings.lock()) {
                return;
            }
            tally.window.add(slot);
            let target = Target::Guess(user, source);
            let start = slot_start(slot, settings.window);
            self.outbox.attempts(one(target, "", tally, start));
            let guesses = tally.total(slot);
            if guesses < settings.guesses {
                return;
            }
            let lock = (!self.is_spared(&settings, user, source, now))
                .then(|| tally.lock(target, now, settings.lock()));
            lock.iter().for_each(|lock| self.announce(lock));
            findings.push(brute_force(user, source, guesses, lock.as_ref(), &settings).key(key.id));
        });
        findings.extend(self.spread(key, source, now, &settings));
        findings
    }

    /// Shared addresses and sidecars: where an account works, a guesser must not end that.
    pub(super) fn is_spared(
        &self,
        settings: &Settings,
        user: Uuid,
        source: Source,
        now: Timestamp,
    ) -> bool {
        settings.spare_known_sources && self.is_known(user, source, now)
    }

    /// Guessing spread over many sources is an event, not a lock: the secret has 256 bits.
    fn spread(
        &self,
        key: &KeyRecord,
        source: Source,
        now: Timestamp,
        settings: &Settings,
    ) -> Option<Finding> {
        let slot = slot(now, settings.window);
        let number = self.spread.number(source);
        let noted = self.spread.change(key.owner.id, now.as_microsecond(), |sources| {
            sources.note(number, slot, SPREAD, now)
        })?;
        (noted == Noted::Reached).then(|| {
            Finding::new(EventKind::DistributedGuessing)
                .user(key.owner.id)
                .key(key.id)
                .source(source)
                .with("sources", SPREAD)
                .with("window_seconds", settings.window.as_secs())
        })
    }
}

pub(super) fn brute_force(
    user: Uuid,
    source: Source,
    guesses: u32,
    lock: Option<&Lock>,
    settings: &Settings,
) -> Finding {
    let finding = Finding::new(EventKind::BruteForce)
        .user(user)
        .source(source)
        .with("guesses", guesses)
        .with("window_seconds", settings.window.as_secs());
    match lock {
        Some(lock) => {
            finding.with("locked_until", lock.until.to_string()).with("strikes", lock.strikes)
        }
        None => finding.with("spared", "the account works at this source"),
    }
}
