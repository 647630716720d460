//! What happened lately: counts, and distinct things, in a window that slides by sixteenths.
//!
//! Slots are numbered from the epoch, so that nodes that count the same thing agree on them.

use std::time::Duration;

use jiff::Timestamp;

const SLOTS: usize = 16;

/// The number of a sixteenth of the window. Nothing older than the window is ever counted; a
/// sixteenth of it may be forgotten early.
pub type Slot = i64;

/// The slot that `now` is in.
pub fn slot(now: Timestamp, window: Duration) -> Slot {
    now.as_microsecond().div_euclid(length(window))
}

/// When `slot` began.
pub fn slot_start(slot: Slot, window: Duration) -> Timestamp {
    Timestamp::from_microsecond(slot.saturating_mul(length(window)))
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

fn length(window: Duration) -> i64 {
    i64::try_from(window.as_micros()).unwrap_or(i64::MAX).max(SLOTS as i64) / SLOTS as i64
}

/// A count over a sliding window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    counts: [u16; SLOTS],
    newest: Slot,
}

impl Window {
    pub fn add(&mut self, slot: Slot) {
        if let Some(count) = self.at(slot) {
            *count = count.saturating_add(1);
        }
    }

    /// Somebody has counted to `count` in `slot`: what is known here is never less.
    pub fn raise(&mut self, slot: Slot, count: u32) {
        if let Some(known) = self.at(slot) {
            *known = (*known).max(u16::try_from(count).unwrap_or(u16::MAX));
        }
    }

    pub fn total(&self, now: Slot) -> u32 {
        let past = (now - self.newest).clamp(0, SLOTS as i64) as usize;
        let oldest = self.newest - (SLOTS - 1) as i64 + past as i64;
        (oldest..=self.newest).map(|slot| u32::from(self.counts[index(slot)])).sum()
    }

    /// The count when it last changed.
    pub fn weight(&self) -> u32 {
        self.total(self.newest)
    }

    /// The count of `slot`, unless the window has left it behind.
    fn at(&mut self, slot: Slot) -> Option<&mut u16> {
        // A clock that was set back by more than a window must not freeze the count.
        if slot > self.newest || self.newest - slot > 2 * SLOTS as i64 {
            let skipped = (slot - self.newest).unsigned_abs().min(SLOTS as u64) as i64;
            (slot - skipped + 1..=slot).for_each(|passed| self.counts[index(passed)] = 0);
            self.newest = slot;
        }
        (self.newest - slot < SLOTS as i64).then(|| &mut self.counts[index(slot)])
    }
}

fn index(slot: Slot) -> usize {
    slot.rem_euclid(SLOTS as i64) as usize
}

/// Which different things happened in a sliding window, at most so many.
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    seen: Vec<(u64, Slot)>,
}

impl Distinct {
    /// Notes `thing`; true when it is new. Beyond `most` the oldest is forgotten.
    pub fn note(&mut self, thing: u64, slot: Slot, most: usize) -> bool {
        self.seen.retain(|(_, at)| is_within(*at, slot));
        if let Some(known) = self.seen.iter_mut().find(|(known, _)| *known == thing) {
            known.1 = known.1.max(slot);
            return false;
        }
        if self.seen.len() >= most {
            let oldest = (0..self.seen.len()).min_by_key(|&n| self.seen[n].1);
            oldest.map(|n| self.seen.swap_remove(n));
        }
        self.seen.push((thing, slot));
        true
    }

    pub fn count(&self, now: Slot) -> u32 {
        self.seen.iter().filter(|(_, at)| is_within(*at, now)).count() as u32
    }

    pub fn weight(&self) -> u32 {
        self.seen.len() as u32
    }

    pub fn clear(&mut self) {
        self.seen.clear();
    }
}

fn is_within(at: Slot, now: Slot) -> bool {
    (now - at).abs() < SLOTS as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut window = Window::default();
        window.add(100);
        window.add(100);
        window.add(110);
        assert_eq!(window.total(110), 3);
        assert_eq!(window.total(115), 3);
        assert_eq!(window.total(116), 1);
        assert_eq!(window.total(126), 0);
        window.add(400);
        assert_eq!(window.total(400), 1);
    }

    #[test]
    fn late_news_of_another_node_counts_where_it_belongs() {
        let mut window = Window::default();
        window.add(100);
        window.raise(95, 4);
        window.raise(100, 1);
        assert_eq!(window.total(100), 5);
        window.raise(80, 9);
        assert_eq!(window.total(100), 5, "that is too old");
    }

    #[test]
    fn a_clock_set_back_does_not_freeze_the_count() {
        let mut window = Window::default();
        window.add(1_000_000);
        window.add(10);
        assert_eq!(window.total(10), 1);
    }

    #[test]
    fn the_same_thing_counts_once() {
        let mut distinct = Distinct::default();
        assert!(distinct.note(1, 5, 4));
        for slot in 5..15 {
            assert!(!distinct.note(1, slot, 4));
        }
        assert!(distinct.note(2, 14, 4));
        assert_eq!(distinct.count(14), 2);
        assert_eq!(distinct.count(14 + 16), 0);
        for thing in 3..100 {
            distinct.note(thing, 15, 4);
        }
        assert_eq!(distinct.count(15), 4, "bounded");
    }
}
