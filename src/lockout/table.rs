use std::hash::{BuildHasher, Hash};

use foldhash::quality::RandomState;
use parking_lot::Mutex;

/// Entries of one bucket.
const WAYS: usize = 16;

type Bucket<K, V> = Vec<(K, V)>;

/// How much it matters that something is remembered.
pub trait Worth {
    /// Of two, the lesser is forgotten first. `None` is never forgotten for a newcomer.
    fn worth(&self, now: i64) -> Option<u64>;
}

/// A map of fixed capacity, whose memory strangers fill but cannot overfill.
///
/// A newcomer to a full bucket takes the place of the entry that matters least. Which keys share a
/// bucket is a secret of the process, and what is held (a block, a lock) gives way to nobody: to be
/// forgotten one would have to fill all of an unknown bucket with entries that matter more.
pub struct Table<K, V> {
    buckets: Box<[Mutex<Bucket<K, V>>]>,
    hasher: RandomState,
}

impl<K: Copy + Eq + Hash, V: Default + Worth> Table<K, V> {
    /// Room for `capacity` entries, taken as they come.
    pub fn new(capacity: usize) -> Self {
        let buckets = capacity.div_ceil(WAYS).max(1);
        Self {
            buckets: (0..buckets).map(|_| Mutex::default()).collect(),
            hasher: RandomState::default(),
        }
    }

    /// Looks at an entry; without one there is nothing to see.
    pub fn read<T>(&self, key: &K, read: impl FnOnce(&V) -> T) -> Option<T> {
        let bucket = self.bucket(key).lock();
        bucket.iter().find(|(known, _)| known == key).map(|(_, value)| read(value))
    }

    /// Changes an entry, which begins as the default. `None` when it had no room.
    pub fn change<T>(&self, key: K, now: i64, change: impl FnOnce(&mut V) -> T) -> Option<T> {
        let mut bucket = self.bucket(&key).lock();
        let at = match bucket.iter().position(|(known, _)| *known == key) {
            Some(at) => at,
            None if bucket.len() < WAYS => {
                bucket.push((key, V::default()));
                bucket.len() - 1
            }
            None => {
                let least = least(&bucket, now)?;
                bucket[least] = (key, V::default());
                least
            }
        };
        Some(change(&mut bucket[at].1))
    }

    /// Changes every entry, a bucket at a time.
    pub fn change_all(&self, mut change: impl FnMut(&K, &mut V)) {
        for bucket in &self.buckets {
            bucket.lock().iter_mut().for_each(|(key, value)| change(key, value));
        }
    }

    /// A number for `thing` that is the same for as long as the process runs.
    pub fn number(&self, thing: impl Hash) -> u64 {
        self.hasher.hash_one(thing)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.lock().len()).sum()
    }

    fn bucket(&self, key: &K) -> &Mutex<Bucket<K, V>> {
        let hash = self.hasher.hash_one(key);
        &self.buckets[(hash % self.buckets.len() as u64) as usize]
    }
}

/// The entry that matters least, if any may go.
fn least<K, V: Worth>(bucket: &[(K, V)], now: i64) -> Option<usize> {
    let worths = bucket.iter().enumerate();
    let free = worths.filter_map(|(at, (_, value))| Some((at, value.worth(now)?)));
    free.min_by_key(|(_, worth)| *worth).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(u64);

    impl Worth for Count {
        fn worth(&self, _: i64) -> Option<u64> {
            (self.0 < 100).then_some(self.0)
        }
    }

    #[test]
    fn a_million_strangers_neither_fill_it_nor_push_out_what_is_held() {
        let table = Table::<u64, Count>::new(1024);
        for held in 0..64 {
            table.change(held, 0, |count| count.0 = 100);
        }
        table.change(64, 0, |count| count.0 = 19);
        for stranger in 1_000..1_001_000 {
            table.change(stranger, 0, |count| count.0 += 1);
        }
        assert!(table.len() <= 1024, "{}", table.len());
        for held in 0..64 {
            assert_eq!(table.read(&held, |count| count.0), Some(100));
        }
        assert_eq!(table.read(&64, |count| count.0), Some(19), "it mattered more than they do");
    }

    #[test]
    fn when_all_is_held_a_newcomer_has_no_room() {
        let table = Table::<u64, Count>::new(WAYS);
        for held in 0..WAYS as u64 {
            table.change(held, 0, |count| count.0 = 100);
        }
        assert!(table.change(99, 0, |_| ()).is_none());
        assert!(table.read(&99, |_| ()).is_none());
    }
}
