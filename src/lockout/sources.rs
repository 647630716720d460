use std::time::Duration;

use jiff::Timestamp;

use super::{EventKind, Finding, Lock, Lockout, Settings, Source, Target, one, slot, slot_start};
use crate::key::LookupId;

/// Different key ids from one source that are no slip of the hand.
const STUFFING: u32 = 8;

impl Lockout {
    /// How much longer `source` is blocked.
    pub fn blocked(&self, source: Source, now: Timestamp) -> Option<Duration> {
        let terms = self.settings.load().block();
        self.sources.read(&source, |tally| tally.left(now, terms)).flatten()
    }

    /// A credential that was not right, and the id that it named if it had our shape.
    pub fn failed(&self, source: Source, id: Option<&LookupId>, now: Timestamp) -> Vec<Finding> {
        let settings = self.settings.load();
        let slot = slot(now, settings.source_window);
        let target = Target::Source(source);
        let id = id.map(|id| self.sources.number(id));
        let mut findings = Vec::new();
        self.sources.change(source, now.as_microsecond(), |tally| {
            tally.touch(now);
            if tally.holds(now, settings.block()) {
                return;
            }
            tally.window.add(slot);
            let start = slot_start(slot, settings.source_window);
            self.outbox.attempts(one(target, "", tally, start));
            let is_new = id.is_some_and(|id| tally.distinct.note(id, slot, STUFFING as usize));
            if is_new && tally.distinct.count(slot) == STUFFING {
                findings.push(stuffing(source, &settings));
            }
            let failures = tally.total(slot);
            if failures >= settings.source_failures {
                let lock = tally.lock(target, now, settings.block());
                self.announce(&lock);
                findings.push(blocked(source, failures, &lock, &settings));
            }
        });
        findings
    }
}

pub(super) fn blocked(source: Source, failures: u32, lock: &Lock, settings: &Settings) -> Finding {
    Finding::new(EventKind::SourceBlocked)
        .source(source)
        .with("failures", failures)
        .with("window_seconds", settings.source_window.as_secs())
        .with("blocked_until", lock.until.to_string())
        .with("strikes", lock.strikes)
}

fn stuffing(source: Source, settings: &Settings) -> Finding {
    Finding::new(EventKind::CredentialStuffing)
        .source(source)
        .with("key_ids", STUFFING)
        .with("window_seconds", settings.source_window.as_secs())
}
