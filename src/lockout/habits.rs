//! Where and how much an account is used, against its own past.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::table::Worth;
use super::window::{Distinct, Slot};
use super::{EventKind, Finding, KnownSource, Lockout, Source, slot};
use crate::key::KeyRecord;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

/// A source is known for a day after the last good request from it.
const KNOWN_FOR: i64 = 24 * 60 * MINUTE;

/// It is noted again after this, not at every request; it is known for as much longer.
const NOTE_AGAIN: i64 = 10 * MINUTE;

/// New sources of one account in a while that are worth a look, once it has a past.
const NEW_SOURCES: u32 = 10;
const NEW_WITHIN: Duration = Duration::from_secs(60 * 60);
const PAST: i64 = 60 * MINUTE;

/// A minute with so many requests, and so many times the average, of a key with so long a past.
const SUDDEN: f32 = 600.0;
const TIMES: f32 = 20.0;
const PAST_MINUTES: i64 = 10;

/// How fast the average forgets: half of it in about seven minutes.
const WEIGHT: f32 = 0.1;

#[derive(Debug, Default)]
pub struct LastSeen(i64);

impl LastSeen {
    fn is_known(&self, now: i64) -> bool {
        self.0 > 0 && (now - self.0).abs() < KNOWN_FOR + NOTE_AGAIN
    }
}

impl Worth for LastSeen {
    /// Only those with a right key come in here: the oldest goes.
    fn worth(&self, _: i64) -> Option<u64> {
        Some(self.0.unsigned_abs())
    }
}

/// The different sources of an account in a while.
#[derive(Debug, Default)]
pub struct Newcomers {
    sources: Distinct,
    first: i64,
    last: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    Fewer,
    /// With this one there are as many as matter.
    Reached,
    More,
}

impl Newcomers {
    pub fn note(&mut self, source: u64, slot: Slot, enough: u32, now: Timestamp) -> Noted {
        self.last = now.as_microsecond();
        self.first = if self.first == 0 { self.last } else { self.first };
        if !self.sources.note(source, slot, enough as usize + 1) {
            return Noted::More;
        }
        match self.sources.count(slot).cmp(&enough) {
            std::cmp::Ordering::Less => Noted::Fewer,
            std::cmp::Ordering::Equal => Noted::Reached,
            std::cmp::Ordering::Greater => Noted::More,
        }
    }
}

impl Worth for Newcomers {
    fn worth(&self, _: i64) -> Option<u64> {
        Some(self.last.unsigned_abs())
    }
}

/// How often a key is used.
#[derive(Debug, Default)]
pub struct Volume {
    minute: i64,
    count: u32,
    /// Requests in a minute, as it has been.
    average: f32,
    minutes: i64,
}

impl Volume {
    /// Counts a request; answers with the average when it is the one too many.
    fn note(&mut self, now: Timestamp) -> Option<f32> {
        let minute = now.as_microsecond().div_euclid(MINUTE);
        if minute != self.minute {
            self.turn(minute);
        }
        self.count = self.count.saturating_add(1);
        let limit = SUDDEN.max(self.average * TIMES);
        (self.minutes >= PAST_MINUTES && self.count == limit.ceil() as u32).then_some(self.average)
    }

    fn turn(&mut self, minute: i64) {
        let passed = if self.minute == 0 { 0 } else { (minute - self.minute).clamp(1, 240) };
        for n in 0..passed {
            let count = if n == 0 { self.count as f32 } else { 0.0 };
            self.average += (count - self.average) * WEIGHT;
        }
        self.minutes = self.minutes.saturating_add(passed);
        self.minute = minute;
        self.count = 0;
    }
}

impl Worth for Volume {
    fn worth(&self, _: i64) -> Option<u64> {
        Some(self.minute.unsigned_abs())
    }
}

impl Lockout {
    /// A right key: its account works here. On the way of every good request.
    pub fn authenticated(&self, key: &KeyRecord, source: Source, now: Timestamp) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(self.come_home(key, source, now));
        let sudden = self.volumes.change(key.id, now.as_microsecond(), |volume| volume.note(now));
        findings.extend(sudden.flatten().map(|average| {
            Finding::new(EventKind::SuddenVolume)
                .user(key.owner.id)
                .key(key.id)
                .with("requests_in_a_minute", SUDDEN.max(average * TIMES).ceil())
                .with("usual_in_a_minute", average.round())
        }));
        findings
    }

    pub(super) fn is_known(&self, user: Uuid, source: Source, now: Timestamp) -> bool {
        let now = now.as_microsecond();
        self.known.read(&(user, source), |seen| seen.is_known(now)).unwrap_or(false)
    }

    fn come_home(&self, key: &KeyRecord, source: Source, now: Timestamp) -> Option<Finding> {
        let (user, at) = (key.owner.id, now.as_microsecond());
        let is_fresh = |seen: &LastSeen| (at - seen.0).abs() < NOTE_AGAIN;
        if self.known.read(&(user, source), is_fresh).unwrap_or(false) {
            return None;
        }
        let was_known = self.known.change((user, source), at, |seen| {
            let was_known = seen.is_known(at);
            seen.0 = at;
            was_known
        })?;
        self.outbox.known(KnownSource { user_id: user, source, last_seen: now });
        if was_known { None } else { self.newcomer(key, source, now) }
    }

    fn newcomer(&self, key: &KeyRecord, source: Source, now: Timestamp) -> Option<Finding> {
        let number = self.newcomers.number(source);
        let slot = slot(now, NEW_WITHIN);
        let (noted, past) =
            self.newcomers.change(key.owner.id, now.as_microsecond(), |sources| {
                let noted = sources.note(number, slot, NEW_SOURCES, now);
                (noted, now.as_microsecond() - sources.first)
            })?;
        (noted == Noted::Reached && past >= PAST).then(|| {
            Finding::new(EventKind::ManySources)
                .user(key.owner.id)
                .key(key.id)
                .source(source)
                .with("new_sources", NEW_SOURCES)
                .with("window_seconds", NEW_WITHIN.as_secs())
        })
    }

    /// What another node, or this one before a restart, has seen.
    pub(super) fn learn(&self, known: &KnownSource) {
        let at = known.last_seen.as_microsecond();
        self.known.change((known.user_id, known.source), at, |seen| seen.0 = seen.0.max(at));
    }
}
