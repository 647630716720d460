use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use uuid::Uuid;

use crate::key::KeyRecord;

/// Shared by the cached keys of one owner: a change of the owner outdates all of them in one
/// store, however many they are and whatever became of them.
pub(super) struct OwnerMark {
    /// One of the keys; its owner's roles are those that all of them were loaded with.
    sample: Arc<KeyRecord>,
    outdated: AtomicBool,
}

impl OwnerMark {
    pub fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Acquire)
    }

    fn outdate(&self) {
        self.outdated.store(true, Ordering::Release);
    }
}

/// The marks in use. A mark lives as long as a cached key holds it; what is left of it here is
/// swept when the table has doubled.
pub(super) struct Owners {
    marks: HashMap<Uuid, Weak<OwnerMark>>,
    sweep_at: usize,
}

const SMALLEST_SWEEP: usize = 1024;

impl Owners {
    pub fn new() -> Self {
        Self { marks: HashMap::new(), sweep_at: SMALLEST_SWEEP }
    }

    /// The mark for a key just loaded.
    pub fn mark_for(&mut self, key: &Arc<KeyRecord>) -> Arc<OwnerMark> {
        if let Some(mark) = self.marks.get(&key.owner.id).and_then(Weak::upgrade) {
            if mark.sample.owner.roles == key.owner.roles {
                return mark;
            }
            // The key was loaded after a change whose notice is still on its way here.
            mark.outdate();
        }
        self.sweep();
        let mark =
            Arc::new(OwnerMark { sample: Arc::clone(key), outdated: AtomicBool::new(false) });
        self.marks.insert(key.owner.id, Arc::downgrade(&mark));
        mark
    }

    pub fn outdate_user(&mut self, id: &Uuid) {
        if let Some(mark) = self.marks.remove(id).and_then(|mark| mark.upgrade()) {
            mark.outdate();
        }
    }

    pub fn outdate_role(&mut self, role: &str) {
        self.marks.retain(|_, mark| {
            let Some(mark) = mark.upgrade() else { return false };
            let holds = mark.sample.owner.roles.iter().any(|name| &**name == role);
            if holds {
                mark.outdate();
            }
            !holds
        });
    }

    fn sweep(&mut self) {
        if self.marks.len() >= self.sweep_at {
            self.marks.retain(|_, mark| mark.strong_count() > 0);
            self.sweep_at = SMALLEST_SWEEP.max(2 * self.marks.len());
        }
    }
}
