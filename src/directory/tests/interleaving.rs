//! No order of loads and changes leaves something old in the cache: thousands of orders, by seed.

use std::collections::BTreeMap;

use super::*;
use crate::directory::cache::{Boarding, Flight, KeyCache};
use crate::directory::origin::Slot;
use crate::key::LookupId;
use crate::store::FeedSubject;

const SEEDS: u64 = 2_000;
const STEPS: usize = 120;

/// The store of the model: what each key looks like after each change, and the feed. The version
/// of the owner and of the key are written into the record, so that what is cached tells how old
/// it is.
struct Model {
    keys: Vec<(LookupId, Uuid)>,
    key_version: BTreeMap<LookupId, usize>,
    user_version: BTreeMap<Uuid, usize>,
    role_version: usize,
    revoked: BTreeMap<LookupId, bool>,
    template: KeyRecord,
    /// What changed, and when: its place is its number.
    feed: Vec<FeedSubject>,
}

/// What a record says about the changes that it shows.
fn versions(record: &KeyRecord) -> [usize; 3] {
    let mut parts = record.name.split('.').map(|part| part.parse().expect("a number"));
    std::array::from_fn(|_| parts.next().expect("three numbers"))
}

impl Model {
    fn new(template: &KeyRecord, ids: &[LookupId]) -> Self {
        let users = [Uuid::from_u128(1), Uuid::from_u128(2)];
        Self {
            keys: ids.iter().enumerate().map(|(n, id)| (*id, users[n % 2])).collect(),
            key_version: BTreeMap::new(),
            user_version: BTreeMap::new(),
            role_version: 0,
            revoked: BTreeMap::new(),
            template: template.clone(),
            feed: Vec::new(),
        }
    }

    fn change(&mut self, rng: &mut fastrand::Rng) {
        let (id, user) = self.keys[rng.usize(..self.keys.len())];
        let now = self.feed.len() + 1;
        self.feed.push(match rng.u8(..10) {
            0 => {
                self.role_version = now;
                FeedSubject::Role("developer".into())
            }
            1..4 => {
                self.user_version.insert(user, now);
                FeedSubject::User(user)
            }
            kind => {
                self.key_version.insert(id, now);
                *self.revoked.entry(id).or_default() |= kind == 9;
                FeedSubject::Key(id)
            }
        });
    }

    fn read(&self, n: usize) -> KeyRecord {
        let (id, user) = self.keys[n];
        let mut record = self.template.clone();
        record.lookup_id = Some(id);
        record.owner.id = user;
        let key = self.key_version.get(&id).copied().unwrap_or_default();
        let owner = self.user_version.get(&user).copied().unwrap_or_default();
        record.name = format!("{key}.{owner}.{}", self.role_version).into();
        let is_revoked = self.revoked.get(&id).copied().unwrap_or_default();
        record.revoked_at = is_revoked.then_some(Timestamp::UNIX_EPOCH);
        record
    }

    /// The newest change up to `applied` of each kind that touches key `n`.
    fn must_show(&self, n: usize, applied: usize) -> [usize; 3] {
        let (id, user) = self.keys[n];
        let newest = |subject: &FeedSubject| {
            self.feed[..applied].iter().rposition(|s| s == subject).map_or(0, |place| place + 1)
        };
        [
            newest(&FeedSubject::Key(id)),
            newest(&FeedSubject::User(user)),
            newest(&FeedSubject::Role("developer".into())),
        ]
    }
}

/// The cache under test, with loads between their reading and their landing.
struct Run {
    cache: Arc<KeyCache>,
    model: Model,
    applied: usize,
    reading: Vec<(usize, Flight, KeyRecord)>,
    landed: usize,
}

impl Run {
    fn step(&mut self, rng: &mut fastrand::Rng) {
        match rng.u8(..10) {
            0..2 => self.model.change(rng),
            2..4 if self.applied < self.model.feed.len() => {
                self.cache.apply(&self.model.feed[self.applied]);
                self.applied += 1;
            }
            4..7 => self.depart(rng.usize(..self.model.keys.len())),
            _ if !self.reading.is_empty() => self.arrive(rng),
            _ => {}
        }
    }

    fn depart(&mut self, n: usize) {
        let slot = Slot::Minted(self.model.keys[n].0);
        let flight = match self.cache.board(slot) {
            Boarding::Lead(flight, _) => Some(flight),
            Boarding::Landed(_) => self.cache.board_refresh(slot),
            Boarding::Join(_) | Boarding::Full => None,
        };
        if let Some(mut flight) = flight {
            flight.begin();
            self.reading.push((n, flight, self.model.read(n)));
        }
    }

    fn arrive(&mut self, rng: &mut fastrand::Rng) {
        let (n, mut flight, record) = self.reading.swap_remove(rng.usize(..self.reading.len()));
        if rng.u8(..8) == 0 {
            return; // the store failed
        }
        if flight.land(Some(record), 0) {
            self.landed += 1;
        } else {
            flight.begin();
            self.reading.push((n, flight, self.model.read(n)));
        }
    }

    fn check(&self, seed: u64) {
        for n in 0..self.model.keys.len() {
            let slot = Slot::Minted(self.model.keys[n].0);
            let Some(entry) = self.cache.get(&slot) else { continue };
            let must = self.model.must_show(n, self.applied);
            // A revoked key is refused whatever else became of it.
            let shows = entry.record.revoked_at.is_some()
                || versions(&entry.record).iter().zip(must).all(|(shown, must)| *shown >= must);
            assert!(shows, "seed {seed}: key {n} shows {} of {must:?}", entry.record.name);
        }
    }
}

#[tokio::test]
async fn a_cached_key_shows_every_change_applied_in_every_order_of_loads_and_changes() {
    let stand = Stand::ready().await;
    let template = known(stand.ask_key().await);
    let ids: Vec<LookupId> = (0..4)
        .map(|_| match stand.store.unused_id() {
            Credential::Minted { lookup_id, .. } => lookup_id,
            Credential::Foreign { .. } => unreachable!("ids are minted"),
        })
        .collect();
    let mut landed = 0;
    for seed in 0..SEEDS {
        let mut rng = fastrand::Rng::with_seed(seed);
        let settings = CacheSettings { max_keys: 3, ttl: HOUR, serve_stale_for: HOUR };
        let model = Model::new(&template, &ids);
        let cache = KeyCache::new(&settings);
        let mut run = Run { cache, model, applied: 0, reading: Vec::new(), landed: 0 };
        for _ in 0..STEPS {
            run.step(&mut rng);
            run.check(seed);
        }
        landed += run.landed;
    }
    assert!(landed > 10 * SEEDS as usize, "loads do land: {landed}");
}

/// The same through the directory's doors: tasks that ask and tasks that change, on a store that
/// yields at random wherever a real one would wait.
#[tokio::test]
async fn once_a_revocation_is_answered_nobody_gets_the_old_state() {
    for seed in 0..500 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let stand = Arc::new(Stand::ready().await);
        stand.store.yield_by(rng.fork());
        let asking: Vec<_> = (0..6)
            .map(|_| {
                let (stand, pause) = (stand.clone(), rng.usize(..12));
                tokio::spawn(async move {
                    for _ in 0..pause {
                        tokio::task::yield_now().await;
                    }
                    stand.ask_key().await
                })
            })
            .collect();
        for _ in 0..rng.usize(..12) {
            tokio::task::yield_now().await;
        }
        stand.commit(stand.revoke()).await;
        for _ in 0..20 {
            let after = stand.ask_key().await;
            assert!(known(after).revoked_at.is_some(), "seed {seed}");
        }
        for answer in asking {
            known(answer.await.expect("no panic"));
        }
        let cached = stand.directory.cached(&stand.credential).expect("it is cached");
        assert!(known(cached).revoked_at.is_some(), "seed {seed}");
    }
}
