//! The state of every limit, in bounded memory.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};
use uuid::Uuid;

use super::gcra::Gcra;
use super::quota::QuotaMeter;

const SHARDS: usize = 64;

/// Meters that are looked at to find the one that is missed least.
const SAMPLE: usize = 32;

/// Whose use is measured. It stays the same whatever the limit is, so that reloading the policy
/// or a key loses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    User(Uuid),
    Key(Uuid),
    /// A key on one route.
    RouteKey(RouteId, Uuid),
    /// A client on a public route.
    RouteClient(RouteId, IpAddr),
}

/// A route's name, hashed: names are the operator's, so nobody can make two collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(u64);

impl RouteId {
    pub fn of(name: &str) -> Self {
        Self(foldhash::fast::FixedState::default().hash_one(name))
    }
}

/// Clients as limits see them: whoever has an IPv6 address has the whole /64.
pub fn client_network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 => v4,
    }
}

/// What one subject has used.
#[derive(Debug, Default)]
pub struct Meter {
    pub rate: Gcra,
    /// Most subjects have none.
    quota: OnceLock<Box<QuotaMeter>>,
}

impl Meter {
    pub fn quota(&self) -> &QuotaMeter {
        self.quota.get_or_init(Box::default)
    }

    pub fn quota_if_any(&self) -> Option<&QuotaMeter> {
        self.quota.get().map(|quota| &**quota)
    }
}

type Shard = IndexMap<Subject, Arc<Meter>, RandomState>;

/// At most `capacity` meters. A full map makes room by the meter that is missed least: one whose
/// budget has been full the longest, and one without a quota before one with.
pub struct Meters {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    most_in_shard: usize,
    /// With quotas, pushed out; what they hold has to be given back.
    homeless: Mutex<Vec<Arc<Meter>>>,
    pub kept: IntGauge,
    pub evicted: IntCounter,
}

impl Meters {
    pub fn new(capacity: usize, kept: IntGauge, evicted: IntCounter) -> Self {
        let hasher = RandomState::default();
        let shard = || Mutex::new(Shard::with_hasher(hasher.clone()));
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher,
            most_in_shard: capacity.div_ceil(SHARDS).max(1),
            homeless: Mutex::default(),
            kept,
            evicted,
        }
    }

    pub fn get(&self, subject: Subject) -> Arc<Meter> {
        let hash = self.hasher.hash_one(subject) as usize;
        let mut shard = self.shards[hash % SHARDS].lock();
        if let Some(meter) = shard.get(&subject) {
            return Arc::clone(meter);
        }
        if shard.len() >= self.most_in_shard {
            self.make_room(&mut shard);
        }
        self.kept.inc();
        Arc::clone(shard.entry(subject).or_default())
    }

    /// Every meter that has a quota, and those that had one when they were pushed out.
    pub fn with_quota(&self) -> Vec<Arc<Meter>> {
        let mut found = std::mem::take(&mut *self.homeless.lock());
        for shard in &self.shards {
            let shard = shard.lock();
            found.extend(shard.values().filter(|meter| meter.quota.get().is_some()).cloned());
        }
        found
    }

    fn make_room(&self, shard: &mut Shard) {
        let len = shard.len();
        let sample: Vec<usize> = match len <= SAMPLE {
            true => (0..len).collect(),
            false => (0..SAMPLE).map(|_| fastrand::usize(..len)).collect(),
        };
        let missed = |&index: &usize| {
            let meter = &shard[index];
            (meter.quota.get().is_some(), meter.rate.full_at())
        };
        let Some(index) = sample.into_iter().min_by_key(missed) else { return };
        let Some((_, meter)) = shard.swap_remove_index(index) else { return };
        self.kept.dec();
        self.evicted.inc();
        if meter.quota.get().is_some() {
            self.keep_for_settling(meter);
        }
    }

    /// As many as a shard holds; beyond that what they held is lost, which is strict and no more.
    fn keep_for_settling(&self, meter: Arc<Meter>) {
        let mut homeless = self.homeless.lock();
        if homeless.len() < self.most_in_shard {
            homeless.push(meter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Rate;
    use crate::limits::gcra::Pace;

    fn meters(capacity: usize) -> Meters {
        let kept = IntGauge::new("kept", "kept").unwrap();
        Meters::new(capacity, kept, IntCounter::new("evicted", "evicted").unwrap())
    }

    #[test]
    fn memory_is_bounded_whoever_comes() {
        let meters = meters(640);
        for n in 0..100_000 {
            meters.get(Subject::Key(Uuid::from_u128(n)));
        }
        assert!(meters.kept.get() <= 640, "{}", meters.kept.get());
        assert_eq!(meters.kept.get() as u64 + meters.evicted.get(), 100_000);
    }

    #[test]
    fn who_used_nothing_lately_goes_first() {
        let meters = meters(64 * 16);
        let pace = Pace::of(&Rate::parse("1/min").unwrap());
        let busy: Vec<_> = (0..64).map(|n| Subject::Key(Uuid::from_u128(n))).collect();
        for subject in &busy {
            meters.get(*subject).rate.take(pace, 0).unwrap();
        }
        for n in 1_000..50_000 {
            meters.get(Subject::Key(Uuid::from_u128(n)));
        }
        let kept = busy.iter().filter(|subject| meters.get(**subject).rate.full_at() > 0).count();
        assert_eq!(kept, busy.len());
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let of = |text: &str| client_network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
    }
}
