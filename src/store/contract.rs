use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Actor, AuditFilter, AuditRow, ChainHead, ChainOrigin, Change, Committed, GroupSums, Grouping,
    KeptReceipt, KeyCounts, KeyFilter, KeyRow, NodeRow, Order, Page, PageRequest, PermissionRow,
    QuotaAccount, QuotaLease, Receipt, Retention, RoleRow, Rollup, RollupFilter, RollupKey,
    SecurityStore, Terms, UsageBatch, UsageFilter, UsagePage, UserFilter, UserRow,
};
use crate::key::{Digest, IdKey, KeyRecord, LookupId, Permission};
use crate::secret_key::Fingerprint;

/// Where users, roles, permissions, keys and usage live.
///
/// # Promises
///
/// - **One write path.** [`commit_if`](Store::commit_if) is the only way to change a user, role,
///   permission or key. The change, its audit row and its row in the change feed are one
///   transaction: all of them, or none.
/// - **The audit log is a chain.** Each row's MAC covers the row and the MAC before it, under a key
///   derived from the `SECRET_KEY` that the store is at; a process without that one changes nothing.
/// - **Order.** Feed sequence numbers are gapless and become visible in order: whoever has read up
///   to `n` will never find a number ≤ `n` that it has not seen.
/// - **Uniqueness.** Emails (whatever their case), role names, permission names, lookup ids and
///   key digests are unique; a second one is [`StoreError::Conflict`] naming the field.
/// - **Loads are whole.** [`load_key`](Store::load_key) sees key, owner and roles of one instant.
/// - **Time** is kept to the microsecond, in UTC.
/// - **Terms are part of the change.** The version that a change builds on, and the receipt that
///   makes it happen once, are judged in its transaction.
/// - **Revocation is final.** No change makes a revoked key work again.
/// - **Usage batches are idempotent.** The same batch recorded twice counts once, in the records
///   and in the counts by the minute, which are one transaction; recorded, it survives a power cut.
/// - **Quotas are never given out twice.** All leases of one account together are at most its
///   limit, however many nodes ask at once.
/// - **Nothing hangs.** Every call answers within a second or so; a store that does not is
///   [`StoreError::Unavailable`], and so is one that cannot be reached.
#[async_trait]
pub trait Store: SecurityStore {
    /// Who this store is: constant for its life, made by the first migration.
    async fn instance(&self) -> Result<Instance, StoreError>;

    /// Remembers the fingerprint of the `SECRET_KEY` that all nodes share, when none is kept yet.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] when neither ours nor the one before it is kept.
    async fn claim_secret(&self) -> Result<(), StoreError>;

    /// Takes the store from the previous `SECRET_KEY` to the current one: every row of the audit
    /// log is verified under the old one and chained under the new one, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Protected`] when it is at the current one already, and
    /// [`StoreError::Incompatible`] when it is at another one, or when the chain is broken.
    async fn rotate_secret(&self, by: &Actor) -> Result<ChainHead, StoreError>;

    /// Where the audit log's chain begins, and under whose key.
    async fn chain_origin(&self) -> Result<ChainOrigin, StoreError>;

    /// The newest row of the audit log.
    async fn chain_head(&self) -> Result<Option<ChainHead>, StoreError>;

    /// The audit log; a page ends before the `seq` that the next one begins after.
    async fn audit(
        &self,
        filter: &AuditFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError>;

    /// Does one change, in one transaction with its audit row and its feed row.
    async fn commit(&self, change: Change, by: &Actor) -> Result<Committed, StoreError> {
        self.commit_if(change, &Terms::default(), by).await
    }

    /// The same, if `terms` hold.
    ///
    /// # Errors
    /// Besides those of the change: [`StoreError::Stale`] and [`StoreError::Repeated`].
    async fn commit_if(
        &self,
        change: Change,
        terms: &Terms,
        by: &Actor,
    ) -> Result<Committed, StoreError>;

    /// What is remembered of the change that `caller` made under `name`, as of `now`.
    async fn receipt(
        &self,
        caller: Uuid,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<KeptReceipt>, StoreError>;

    /// Remembers what the change under `receipt` was answered with, once, to be answered again.
    async fn keep_answer(&self, receipt: &Receipt, answer: &str) -> Result<(), StoreError>;

    /// Everything a decision needs about the key with this lookup id, revoked and disabled ones
    /// included.
    async fn load_key(&self, id: &LookupId) -> Result<Option<KeyRecord>, StoreError>;

    /// The same for an imported key, by its digest.
    async fn load_imported(&self, digest: &Digest) -> Result<Option<KeyRecord>, StoreError>;

    /// The digests of all imported keys that are not revoked.
    async fn imported_digests(&self) -> Result<Vec<Digest>, StoreError>;

    /// Feed entries after `seq`, oldest first, at most `limit`.
    async fn changes_after(&self, seq: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError>;

    /// The newest feed sequence number, 0 in an empty feed.
    async fn newest_change(&self) -> Result<u64, StoreError>;

    /// Returns when something may have changed. It may return for no reason and may miss a
    /// change: the feed is the truth, this is only a wake-up.
    async fn wait_for_change(&self);

    /// Notes that `node` lives, and that the changes up to number `applied` are effective there.
    async fn report_node(&self, node: &str, applied: u64) -> Result<(), StoreError>;

    /// Forgets a node that stops.
    async fn forget_node(&self, node: &str) -> Result<(), StoreError>;

    /// The nodes that have reported within [`NodeRow::LIVE`], by the store's clock.
    async fn live_nodes(&self) -> Result<Vec<NodeRow>, StoreError>;

    async fn user(&self, id: Uuid) -> Result<Option<UserRow>, StoreError>;
    async fn users(
        &self,
        filter: &UserFilter,
        page: &PageRequest,
    ) -> Result<Page<UserRow>, StoreError>;
    async fn role(&self, name: &str) -> Result<Option<RoleRow>, StoreError>;
    async fn roles(&self, page: &PageRequest) -> Result<Page<RoleRow>, StoreError>;
    async fn permission(&self, name: &Permission) -> Result<Option<PermissionRow>, StoreError>;
    async fn permissions(&self, page: &PageRequest) -> Result<Page<PermissionRow>, StoreError>;
    async fn key(&self, id: Uuid) -> Result<Option<KeyRow>, StoreError>;
    async fn keys(
        &self,
        filter: &KeyFilter,
        page: &PageRequest,
    ) -> Result<Page<KeyRow>, StoreError>;

    /// How many keys are worth a look, as of `now`.
    async fn key_counts(&self, now: Timestamp) -> Result<KeyCounts, StoreError>;

    /// The tiers that users have, and how many users have each.
    async fn tiers_in_use(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// Whether anybody who is not deleted holds the role `admin`: false until `bootstrap`.
    async fn has_admin(&self) -> Result<bool, StoreError>;

    /// Adds a batch of usage records, once, whatever the number of calls with its id.
    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError>;

    /// Records from the newest to the oldest, those before the id `before` alone when it is given.
    async fn usage_records(
        &self,
        filter: &UsageFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<UsagePage, StoreError>;

    /// Counts by the minute, added up. Its cost does not grow with the number of requests.
    async fn usage_sums(
        &self,
        filter: &RollupFilter,
        grouping: Grouping,
    ) -> Result<Vec<GroupSums>, StoreError>;

    /// Counts by the minute as they are kept, in the order of their keys, after one of them.
    async fn usage_rollups(
        &self,
        filter: &RollupFilter,
        after: Option<&RollupKey>,
        limit: usize,
    ) -> Result<Vec<Rollup>, StoreError>;

    /// Makes room for the records of the days to come, and forgets some of what is older than is
    /// kept. Answers whether there is more to forget.
    async fn keep_usage(&self, retention: &Retention) -> Result<bool, StoreError>;

    /// The number of usage records kept.
    async fn usage_count(&self) -> Result<u64, StoreError>;

    /// Gives this node up to `want` requests of an account whose quota is `limit`.
    async fn lease_quota(
        &self,
        account: &QuotaAccount,
        limit: u64,
        want: u64,
    ) -> Result<QuotaLease, StoreError>;

    /// Adds to what accounts have used: what passed without a lease, or less than nothing for what
    /// is given back of one. All of them or none; each account at most once.
    async fn settle_quotas(&self, deltas: &[(QuotaAccount, i64)]) -> Result<(), StoreError>;

    /// Deletes the accounts of periods that ended before `before`.
    async fn forget_quotas(&self, before: Timestamp) -> Result<(), StoreError>;

    /// One round trip.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// What identifies a store.
#[derive(Clone)]
pub struct Instance {
    pub id: Uuid,
    pub id_key: IdKey,
    /// Of the `SECRET_KEY` that its nodes share; `None` before the first node started.
    pub secret_fingerprint: Option<Fingerprint>,
}

/// One row of the change feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEntry {
    pub seq: u64,
    pub subject: FeedSubject,
}

/// What changed. Nodes forget what they know of it and load it again when it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedSubject {
    Key(LookupId),
    /// An imported key.
    Imported(Digest),
    User(Uuid),
    Role(Box<str>),
    /// A permission's name or description: nothing that a decision reads.
    Permission,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or does not answer in time.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Another one has this value already.
    #[error("{field} is taken")]
    Conflict { field: &'static str },
    /// The subject of a change, or something that it names, does not exist.
    #[error("no such {what}")]
    NotFound { what: &'static str },
    /// A value that does not fit its column: too long, too many, or not of its shape.
    #[error("{0}")]
    Invalid(&'static str),
    /// Built-in roles and permissions cannot be changed, nor can the last admin go.
    #[error("{0}")]
    Protected(&'static str),
    /// The subject is no longer, or not yet, of a version that the change's terms name.
    #[error("it has changed in the meantime")]
    Stale,
    /// A change was made under this receipt already.
    #[error("this change was made already")]
    Repeated,
    /// The schema, or the data in it, is not what this version knows.
    #[error("the store does not fit: {0}")]
    Incompatible(String),
}

impl StoreError {
    pub(super) fn other_secret() -> Self {
        StoreError::Incompatible(
            "its nodes share another SECRET_KEY: give this one the same".into(),
        )
    }
}
