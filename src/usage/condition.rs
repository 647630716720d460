//! Whether the spool does what it is for.

use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Copy)]
pub(super) enum Trouble {
    /// Records cannot be written.
    Write,
    /// What is written may not survive a power cut.
    Sync,
    /// The oldest records make room for new ones.
    Full,
}

/// The troubles that there are at the moment.
#[derive(Default)]
pub(super) struct Condition([AtomicBool; 3]);

impl Condition {
    /// Answers whether that is news: there is one log line for each change.
    pub(super) fn note(&self, trouble: Trouble, is_so: bool) -> bool {
        self.0[trouble as usize].swap(is_so, Ordering::Relaxed) != is_so
    }

    pub(super) fn is_good(&self) -> bool {
        !self.0.iter().any(|trouble| trouble.load(Ordering::Relaxed))
    }
}
