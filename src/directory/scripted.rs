//! A store in memory for tests: it keeps the promises, and can be made to fail, to hold loads
//! back, to be replaced by another, and to yield wherever a real one would wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, RwLock, watch};
use uuid::Uuid;

use crate::decision::Credential;
use crate::key::{
    AccountLock, Digest, Environment, Grants, IdKey, KeyRecord, LookupId, MintedKey, Owner,
    Pattern, Permission,
};
use crate::lockout::{Ledger, Lock, Recent, SecurityEvent};
use crate::store::{
    Actor, AttemptFilter, AuditFilter, AuditRow, ChainHead, ChainOrigin, Change, Committed,
    EventFilter, EventOrder, EventRow, FailedAttempts, FeedEntry, FeedSubject, GroupSums, Grouping,
    Instance, KeptReceipt, KeyCounts, KeyFilter, KeyRow, LockoutFilter, LockoutRow, NodeRow, Order,
    Page, PageRequest, PermissionRow, QuotaAccount, QuotaLease, Receipt, Retention, RoleChanges,
    RoleRow, Rollup, RollupFilter, RollupKey, SecurityStore, Store, StoreError, Terms, UsageBatch,
    UsageFilter, UsagePage, UserFilter, UserRow,
};

/// What can be made to fail, each for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Load,
    Feed,
    Commit,
    Usage,
}

impl Op {
    pub const ALL: [Op; 4] = [Op::Load, Op::Feed, Op::Commit, Op::Usage];
}

#[derive(Clone)]
pub(crate) struct Rows {
    pub instance: Instance,
    pub keys: BTreeMap<Uuid, KeyRecord>,
    pub roles: BTreeMap<Box<str>, Vec<Pattern>>,
    pub feed: Vec<FeedEntry>,
}

pub(crate) struct ScriptedStore {
    rows: Mutex<Rows>,
    failing: Mutex<BTreeSet<Op>>,
    panics: Mutex<BTreeSet<Op>>,
    /// Loads that have read the rows.
    pub loads: watch::Sender<usize>,
    /// While it is locked for writing, loads that have read do not return.
    pub held: Arc<RwLock<()>>,
    changed: Notify,
    /// How often to yield, at most, at every point where a real store would wait.
    yields: Mutex<Option<fastrand::Rng>>,
    pub batches: Mutex<BTreeMap<Uuid, UsageBatch>>,
    pub attempts: watch::Sender<usize>,
    /// Records that usage refuses: those with this status.
    pub refused_status: Mutex<Option<u16>>,
}

impl ScriptedStore {
    pub fn new() -> Arc<Self> {
        let instance = Instance {
            id: Uuid::now_v7(),
            id_key: IdKey::from_bytes([7; 32]),
            secret_fingerprint: None,
        };
        let (keys, roles, feed) = Default::default();
        Arc::new(Self {
            rows: Mutex::new(Rows { instance, keys, roles, feed }),
            failing: Mutex::default(),
            panics: Mutex::default(),
            loads: watch::Sender::new(0),
            held: Arc::default(),
            changed: Notify::new(),
            yields: Mutex::default(),
            batches: Mutex::default(),
            attempts: watch::Sender::new(0),
            refused_status: Mutex::default(),
        })
    }

    /// A key of `user`, who holds `role`, there from the beginning.
    pub fn add_key(&self, user: Uuid, role: &str) -> (Uuid, Credential) {
        let mut rows = self.rows.lock();
        let minted = MintedKey::new(&Environment::default(), &rows.instance.id_key)
            .expect("there is randomness");
        rows.roles.entry(role.into()).or_insert_with(|| vec![pattern("orders:read")]);
        let record = key(user, role, Some(minted.lookup_id), minted.digest);
        let id = record.id;
        rows.keys.insert(id, record);
        (id, Credential::Minted { lookup_id: minted.lookup_id, digest: minted.digest })
    }

    /// An imported key, there from the beginning.
    pub fn add_imported(&self, text: &str) -> Credential {
        let digest = Digest::of(text.as_bytes());
        let record = key(Uuid::now_v7(), "importer", None, digest);
        self.rows.lock().keys.insert(record.id, record);
        Credential::Foreign { digest }
    }

    /// An id of ours under which there is no key.
    pub fn unused_id(&self) -> Credential {
        let id_key = self.rows.lock().instance.id_key.clone();
        let minted = MintedKey::new(&Environment::default(), &id_key).expect("there is randomness");
        Credential::Minted { lookup_id: minted.lookup_id, digest: minted.digest }
    }

    pub fn rows(&self) -> Rows {
        self.rows.lock().clone()
    }

    /// Puts other rows in place: a backup, or another database.
    pub fn restore(&self, rows: Rows) {
        *self.rows.lock() = rows;
    }

    /// Takes the oldest `count` entries out of the feed.
    pub fn trim(&self, count: usize) {
        self.rows.lock().feed.drain(..count);
    }

    pub fn fail(&self, ops: &[Op]) {
        self.failing.lock().extend(ops);
    }

    pub fn heal(&self) {
        self.failing.lock().clear();
    }

    pub fn panic_once(&self, op: Op) {
        self.panics.lock().insert(op);
    }

    pub fn yield_by(&self, rng: fastrand::Rng) {
        *self.yields.lock() = Some(rng);
    }

    pub fn load_count(&self) -> usize {
        *self.loads.borrow()
    }

    /// Makes a change as another node would: this one is not told.
    pub fn change(&self, change: Change) -> Result<Committed, StoreError> {
        let mut rows = self.rows.lock();
        let subjects = rows.effect(change)?;
        for subject in subjects {
            let seq = rows.feed.last().map_or(0, |entry| entry.seq) + 1;
            rows.feed.push(FeedEntry { seq, subject });
        }
        let seq = rows.feed.last().map_or(0, |entry| entry.seq);
        self.changed.notify_one();
        Ok(Committed { seq })
    }

    fn enter(&self, op: Op) -> Result<(), StoreError> {
        assert!(!self.panics.lock().remove(&op), "{op:?} was told to panic");
        if self.failing.lock().contains(&op) {
            return Err(StoreError::Unavailable(format!("{op:?} was told to fail")));
        }
        Ok(())
    }

    async fn wait(&self) {
        let times = self.yields.lock().as_mut().map_or(0, |rng| rng.usize(0..4));
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
    }

    async fn load(
        &self,
        find: impl Fn(&KeyRecord) -> bool,
    ) -> Result<Option<KeyRecord>, StoreError> {
        self.wait().await;
        self.enter(Op::Load)?;
        let loaded = {
            let rows = self.rows.lock();
            rows.keys.values().find(|key| find(key)).map(|key| rows.whole(key))
        };
        self.loads.send_modify(|loads| *loads += 1);
        self.wait().await;
        let _released = self.held.read().await;
        Ok(loaded)
    }
}

impl Rows {
    fn whole(&self, key: &KeyRecord) -> KeyRecord {
        let mut key = key.clone();
        let roles = key.owner.roles.iter().filter_map(|role| self.roles.get(role));
        key.owner.grants = roles.flatten().cloned().collect();
        key
    }

    fn effect(&mut self, change: Change) -> Result<Vec<FeedSubject>, StoreError> {
        match change {
            Change::CreateKey(new) => {
                let mut record = key(new.user_id, "developer", new.lookup_id, new.digest);
                record.id = new.id;
                self.keys.insert(new.id, record);
                Ok(vec![self.address(new.id)])
            }
            Change::RevokeKey { id } => {
                let key = self.keys.get_mut(&id).ok_or(StoreError::NotFound { what: "key" })?;
                key.revoked_at = Some(Timestamp::UNIX_EPOCH);
                Ok(vec![self.address(id)])
            }
            Change::LockUser { id, until, .. } => {
                Ok(self.set_lock(id, Some(AccountLock { until })))
            }
            Change::UnlockUser { id } => Ok(self.set_lock(id, None)),
            Change::UpdateRole { name, patch } => {
                self.roles.insert(name.as_str().into(), patch.permissions.unwrap_or_default());
                Ok(vec![FeedSubject::Role(name.into())])
            }
            Change::CreatePermission(_) => Ok(vec![FeedSubject::Permission]),
            _ => Err(StoreError::Protected("this change is not in the script")),
        }
    }

    fn address(&self, id: Uuid) -> FeedSubject {
        let key = &self.keys[&id];
        key.lookup_id.map_or(FeedSubject::Imported(key.digest), FeedSubject::Key)
    }

    fn set_lock(&mut self, user: Uuid, lock: Option<AccountLock>) -> Vec<FeedSubject> {
        for key in self.keys.values_mut().filter(|key| key.owner.id == user) {
            key.owner.lock = lock;
        }
        vec![FeedSubject::User(user)]
    }
}

pub(crate) fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).expect("a pattern")
}

fn key(user: Uuid, role: &str, lookup_id: Option<LookupId>, digest: Digest) -> KeyRecord {
    KeyRecord {
        id: Uuid::now_v7(),
        lookup_id,
        digest,
        name: "a key".into(),
        environment: Environment::default(),
        permissions: [pattern("*")].into_iter().collect(),
        allowed_ips: Box::default(),
        expires_at: None,
        disabled: false,
        revoked_at: None,
        rate: None,
        quota: None,
        owner: Owner {
            id: user,
            email: "somebody@example.com".into(),
            tier: None,
            lock: None,
            disabled: false,
            roles: [role.into()].into(),
            grants: Grants::default(),
        },
    }
}

#[async_trait]
impl Store for ScriptedStore {
    async fn instance(&self) -> Result<Instance, StoreError> {
        self.wait().await;
        self.enter(Op::Feed)?;
        Ok(self.rows.lock().instance.clone())
    }

    async fn claim_secret(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn rotate_secret(&self, _: &Actor) -> Result<ChainHead, StoreError> {
        Err(StoreError::Unavailable("there is no audit log here".into()))
    }

    async fn chain_origin(&self) -> Result<ChainOrigin, StoreError> {
        Err(StoreError::Unavailable("there is no audit log here".into()))
    }

    async fn chain_head(&self) -> Result<Option<ChainHead>, StoreError> {
        Ok(None)
    }

    async fn audit(
        &self,
        _: &AuditFilter,
        _: Order,
        _: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        Ok(Page { rows: Vec::new(), next: None })
    }

    async fn commit_if(
        &self,
        change: Change,
        _: &Terms,
        _: &Actor,
    ) -> Result<Committed, StoreError> {
        self.wait().await;
        self.enter(Op::Commit)?;
        let committed = self.change(change);
        self.wait().await;
        committed
    }

    async fn load_key(&self, id: &LookupId) -> Result<Option<KeyRecord>, StoreError> {
        self.load(|key| key.lookup_id.as_ref() == Some(id)).await
    }

    async fn load_imported(&self, digest: &Digest) -> Result<Option<KeyRecord>, StoreError> {
        self.load(|key| key.lookup_id.is_none() && key.digest == *digest).await
    }

    async fn imported_digests(&self) -> Result<Vec<Digest>, StoreError> {
        self.enter(Op::Feed)?;
        let rows = self.rows.lock();
        Ok(rows.keys.values().filter(|key| key.lookup_id.is_none()).map(|k| k.digest).collect())
    }

    async fn changes_after(&self, seq: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        self.wait().await;
        self.enter(Op::Feed)?;
        let page = {
            let rows = self.rows.lock();
            rows.feed.iter().filter(|entry| entry.seq > seq).take(limit).cloned().collect()
        };
        self.wait().await;
        Ok(page)
    }

    async fn newest_change(&self) -> Result<u64, StoreError> {
        self.wait().await;
        self.enter(Op::Feed)?;
        Ok(self.rows.lock().feed.last().map_or(0, |entry| entry.seq))
    }

    async fn wait_for_change(&self) {
        self.changed.notified().await;
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        self.attempts.send_modify(|attempts| *attempts += 1);
        self.enter(Op::Usage)?;
        let refused = *self.refused_status.lock();
        if batch.records.iter().any(|record| Some(record.status) == refused) {
            return Err(StoreError::Protected("a record is refused"));
        }
        self.batches.lock().entry(batch.id).or_insert_with(|| batch.clone());
        Ok(())
    }

    async fn usage_count(&self) -> Result<u64, StoreError> {
        Ok(self.batches.lock().values().map(|batch| batch.records.len() as u64).sum())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.enter(Op::Feed)
    }

    async fn has_admin(&self) -> Result<bool, StoreError> {
        Ok(true)
    }

    // Quotas and people's views are no business of the rooms under test.

    async fn lease_quota(
        &self,
        _: &QuotaAccount,
        _: u64,
        want: u64,
    ) -> Result<QuotaLease, StoreError> {
        Ok(QuotaLease { granted: want, used: want })
    }

    async fn settle_quotas(&self, _: &[(QuotaAccount, i64)]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn forget_quotas(&self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn receipt(
        &self,
        _: Uuid,
        _: &str,
        _: Timestamp,
    ) -> Result<Option<KeptReceipt>, StoreError> {
        Ok(None)
    }

    async fn keep_answer(&self, _: &Receipt, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn key_counts(&self, _: Timestamp) -> Result<KeyCounts, StoreError> {
        Ok(KeyCounts::default())
    }

    async fn usage_records(
        &self,
        _: &UsageFilter,
        _: Option<i64>,
        _: usize,
    ) -> Result<UsagePage, StoreError> {
        Ok(UsagePage { rows: Vec::new(), next: None })
    }

    async fn usage_sums(
        &self,
        _: &RollupFilter,
        _: Grouping,
    ) -> Result<Vec<GroupSums>, StoreError> {
        Ok(Vec::new())
    }

    async fn usage_rollups(
        &self,
        _: &RollupFilter,
        _: Option<&RollupKey>,
        _: usize,
    ) -> Result<Vec<Rollup>, StoreError> {
        Ok(Vec::new())
    }

    async fn keep_usage(&self, _: &Retention) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn tiers_in_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        Ok(Vec::new())
    }

    async fn report_node(&self, _: &str, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn forget_node(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn live_nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn user(&self, _: Uuid) -> Result<Option<UserRow>, StoreError> {
        Ok(None)
    }

    async fn users(&self, _: &UserFilter, _: &PageRequest) -> Result<Page<UserRow>, StoreError> {
        Ok(Page { rows: Vec::new(), next: None })
    }

    async fn role(&self, _: &str) -> Result<Option<RoleRow>, StoreError> {
        Ok(None)
    }

    async fn roles(&self, _: &PageRequest) -> Result<Page<RoleRow>, StoreError> {
        Ok(Page { rows: Vec::new(), next: None })
    }

    async fn permission(&self, _: &Permission) -> Result<Option<PermissionRow>, StoreError> {
        Ok(None)
    }

    async fn permissions(&self, _: &PageRequest) -> Result<Page<PermissionRow>, StoreError> {
        Ok(Page { rows: Vec::new(), next: None })
    }

    async fn key(&self, _: Uuid) -> Result<Option<KeyRow>, StoreError> {
        Ok(None)
    }

    async fn keys(&self, _: &KeyFilter, _: &PageRequest) -> Result<Page<KeyRow>, StoreError> {
        Ok(Page { rows: Vec::new(), next: None })
    }
}

/// Nor are attackers.
#[async_trait]
impl SecurityStore for ScriptedStore {
    async fn exchange(&self, _: &Ledger, _: Recent) -> Result<Ledger, StoreError> {
        Ok(Ledger::default())
    }

    async fn lockouts(
        &self,
        _: &LockoutFilter,
        _: Timestamp,
        _: &PageRequest,
    ) -> Result<Page<LockoutRow>, StoreError> {
        Ok(Page { rows: Vec::new(), next: None })
    }

    async fn lift(&self, _: Uuid, _: &Actor) -> Result<Lock, StoreError> {
        Err(StoreError::NotFound { what: "block" })
    }

    async fn failed_attempts(&self, _: &AttemptFilter) -> Result<Vec<FailedAttempts>, StoreError> {
        Ok(Vec::new())
    }

    async fn record_events(&self, _: &[SecurityEvent]) -> Result<Vec<Uuid>, StoreError> {
        Ok(Vec::new())
    }

    async fn events(
        &self,
        _: &EventFilter,
        _: EventOrder,
        _: &PageRequest,
    ) -> Result<Page<EventRow>, StoreError> {
        Ok(Page { rows: Vec::new(), next: None })
    }

    async fn role_changes(&self, _: Option<u64>) -> Result<RoleChanges, StoreError> {
        Ok(RoleChanges::default())
    }

    async fn forget_security(&self, _: Timestamp, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}
