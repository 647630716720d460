use std::collections::VecDeque;

use super::origin::Slot;
use crate::key::KeyRecord;
use crate::store::FeedSubject;

/// Changes that are remembered. A load takes a second at most; one that outlives this many
/// changes counts as touched.
const REMEMBERED: usize = 1024;

/// The changes applied lately, so that a load can tell whether it is older than one of them.
#[derive(Default)]
pub(super) struct Recent {
    applied: u64,
    last: VecDeque<FeedSubject>,
}

/// A point in the order of changes applied on this node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(u64);

impl Recent {
    pub fn now(&self) -> Mark {
        Mark(self.applied)
    }

    pub fn add(&mut self, subject: FeedSubject) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(subject);
        self.applied += 1;
    }

    /// Something changed that cannot be named: everything loaded before counts as touched.
    pub fn add_unknown(&mut self) {
        self.last.clear();
        self.applied += 1;
    }

    /// Whether anything applied since `mark` may have changed what was loaded from `slot`.
    pub fn touched(&self, slot: &Slot, loaded: Option<&KeyRecord>, mark: Mark) -> bool {
        let since = (self.applied - mark.0) as usize;
        since > self.last.len()
            || self.last.iter().rev().take(since).any(|subject| concerns(subject, slot, loaded))
    }
}

fn concerns(subject: &FeedSubject, slot: &Slot, loaded: Option<&KeyRecord>) -> bool {
    match subject {
        FeedSubject::Key(id) => *slot == Slot::Minted(*id),
        FeedSubject::Imported(digest) => *slot == Slot::imported(digest),
        FeedSubject::User(id) => loaded.is_some_and(|key| key.owner.id == *id),
        FeedSubject::Role(name) => loaded.is_some_and(|key| key.owner.roles.contains(name)),
        FeedSubject::Permission => false,
    }
}
