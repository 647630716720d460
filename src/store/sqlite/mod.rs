//! The store in one SQLite file, for one serving node.
//!
//! One thread writes, a few read; WAL lets them not wait for each other. The command line may open
//! the file beside a serving node, whose poll of the feed sees what it changed.

mod commit;
mod error;
mod file;
mod keys;
mod lane;
mod load;
mod log;
pub mod migrate;
mod nodes;
mod quota;
mod receipts;
mod roles;
mod security;
mod select;
mod usage;
mod users;
mod values;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::Notify;
use uuid::Uuid;

use self::file::ServingLock;
use self::lane::Lane;
use self::values::{Id, one, value};
use super::migrate::Migration;
use super::{
    Access, Actor, AuditFilter, AuditRow, ChainHead, ChainKeys, ChainOrigin, Change, Committed,
    FeedEntry, GroupSums, Grouping, Instance, KeptReceipt, KeyCounts, KeyFilter, KeyRow, NodeRow,
    Order, Page, PageRequest, PermissionRow, QuotaAccount, QuotaLease, Receipt, Retention, RoleRow,
    Rollup, RollupFilter, RollupKey, Store, StoreError, Terms, UsageBatch, UsageFilter, UsagePage,
    UserFilter, UserRow, stored,
};
use crate::key::{Digest, KeyRecord, LookupId, Permission};

pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "core",
        up: include_str!("../../../sql/sqlite/0001_core.up.sql"),
        down: include_str!("../../../sql/sqlite/0001_core.down.sql"),
    },
    Migration {
        version: 2,
        name: "limits",
        up: include_str!("../../../sql/sqlite/0002_limits.up.sql"),
        down: include_str!("../../../sql/sqlite/0002_limits.down.sql"),
    },
    Migration {
        version: 3,
        name: "usage",
        up: include_str!("../../../sql/sqlite/0003_usage.up.sql"),
        down: include_str!("../../../sql/sqlite/0003_usage.down.sql"),
    },
    Migration {
        version: 4,
        name: "security",
        up: include_str!("../../../sql/sqlite/0004_security.up.sql"),
        down: include_str!("../../../sql/sqlite/0004_security.down.sql"),
    },
    Migration {
        version: 5,
        name: "idempotency",
        up: include_str!("../../../sql/sqlite/0005_idempotency.up.sql"),
        down: include_str!("../../../sql/sqlite/0005_idempotency.down.sql"),
    },
    Migration {
        version: 6,
        name: "audit_chain",
        up: include_str!("../../../sql/sqlite/0006_audit_chain.up.sql"),
        down: include_str!("../../../sql/sqlite/0006_audit_chain.down.sql"),
    },
    Migration {
        version: 7,
        name: "nodes",
        up: include_str!("../../../sql/sqlite/0007_nodes.up.sql"),
        down: include_str!("../../../sql/sqlite/0007_nodes.down.sql"),
    },
];

/// How long a call may take, its wait in the queue included.
const PATIENCE: Duration = Duration::from_secs(1);

/// Bulk work, which nobody waits for.
const BULK_PATIENCE: Duration = Duration::from_secs(5);

const READERS: usize = 4;

pub struct SqliteStore {
    // Fields are dropped in this order: the lock goes when nothing can be written any more.
    writer: Lane,
    readers: Lane,
    committed: Notify,
    keys: Arc<ChainKeys>,
    _lock: Option<ServingLock>,
}

impl SqliteStore {
    /// Opens a file that was migrated.
    ///
    /// # Errors
    /// The file is missing or its schema does not fit; or, for [`Access::Serving`], another
    /// process serves from it.
    pub fn open(path: &Path, access: Access, keys: ChainKeys) -> Result<Self, StoreError> {
        let lock = match access {
            Access::Serving => Some(ServingLock::take(path)?),
            Access::Beside => None,
        };
        let writer = file::open(path)?;
        let pending = migrate::status_of(&writer, MIGRATIONS)?;
        if let Some(next) = pending.iter().find(|migration| migration.applied_at.is_none()) {
            return Err(StoreError::Incompatible(format!(
                "migration {} is pending: run `gatepost migrate up`",
                next.name
            )));
        }
        if lock.is_some() {
            nodes::forget_all(&writer)?;
        }
        let readers = (0..READERS).map(|_| file::open(path)).collect::<Result<_, _>>()?;
        Ok(Self {
            writer: Lane::start("sqlite-writer", vec![writer])?,
            readers: Lane::start("sqlite-reader", readers)?,
            committed: Notify::new(),
            keys: Arc::new(keys),
            _lock: lock,
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(PATIENCE, |db| work(db)).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn instance(&self) -> Result<Instance, StoreError> {
        self.read(instance).await
    }

    async fn claim_secret(&self) -> Result<(), StoreError> {
        let keys = Arc::clone(&self.keys);
        self.writer.run(PATIENCE, move |db| log::claim(db, &keys).map(drop)).await
    }

    async fn rotate_secret(&self, by: &Actor) -> Result<ChainHead, StoreError> {
        let (keys, by) = (Arc::clone(&self.keys), by.clone());
        self.writer.run(log::ROTATE, move |db| log::rotate(db, &keys, &by)).await
    }

    async fn chain_origin(&self) -> Result<ChainOrigin, StoreError> {
        self.read(log::origin).await
    }

    async fn chain_head(&self) -> Result<Option<ChainHead>, StoreError> {
        self.read(log::head).await
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |db| log::list(db, filter, order, &page)).await
    }

    async fn commit_if(
        &self,
        change: Change,
        terms: &Terms,
        by: &Actor,
    ) -> Result<Committed, StoreError> {
        let (keys, terms, by) = (Arc::clone(&self.keys), terms.clone(), by.clone());
        let work = move |db: &mut Connection| commit::commit(db, change, &terms, &by, &keys);
        let committed = self.writer.run(PATIENCE, work).await?;
        self.committed.notify_one();
        Ok(committed)
    }

    async fn receipt(
        &self,
        caller: Uuid,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<KeptReceipt>, StoreError> {
        let name = name.to_owned();
        self.read(move |db| receipts::find(db, caller, &name, now)).await
    }

    async fn keep_answer(&self, receipt: &Receipt, answer: &str) -> Result<(), StoreError> {
        let (receipt, answer) = (receipt.clone(), answer.to_owned());
        self.writer.run(PATIENCE, move |db| receipts::keep_answer(db, &receipt, &answer)).await
    }

    async fn load_key(&self, id: &LookupId) -> Result<Option<KeyRecord>, StoreError> {
        let id = *id;
        self.read(move |db| load::key(db, &id)).await
    }

    async fn load_imported(&self, digest: &Digest) -> Result<Option<KeyRecord>, StoreError> {
        let digest = *digest;
        self.read(move |db| load::imported(db, &digest)).await
    }

    async fn imported_digests(&self) -> Result<Vec<Digest>, StoreError> {
        self.read(load::imported_digests).await
    }

    async fn changes_after(&self, seq: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        self.read(move |db| load::changes_after(db, seq, limit)).await
    }

    async fn newest_change(&self) -> Result<u64, StoreError> {
        self.read(load::newest_change).await
    }

    /// Wakes for the changes of this process; those of others are found by polling the feed.
    async fn wait_for_change(&self) {
        self.committed.notified().await;
    }

    async fn report_node(&self, node: &str, applied: u64) -> Result<(), StoreError> {
        let node = node.to_owned();
        self.writer.run(PATIENCE, move |db| nodes::report(db, &node, applied)).await
    }

    async fn forget_node(&self, node: &str) -> Result<(), StoreError> {
        let node = node.to_owned();
        self.writer.run(PATIENCE, move |db| nodes::forget(db, &node)).await
    }

    async fn live_nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        self.read(nodes::live).await
    }

    async fn user(&self, id: Uuid) -> Result<Option<UserRow>, StoreError> {
        self.read(move |db| users::find(db, id)).await
    }

    async fn users(
        &self,
        filter: &UserFilter,
        page: &PageRequest,
    ) -> Result<Page<UserRow>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |db| users::list(db, filter, &page)).await
    }

    async fn role(&self, name: &str) -> Result<Option<RoleRow>, StoreError> {
        let name = name.to_owned();
        self.read(move |db| roles::find(db, &name)).await
    }

    async fn roles(&self, page: &PageRequest) -> Result<Page<RoleRow>, StoreError> {
        let page = page.clone();
        self.read(move |db| roles::list(db, &page)).await
    }

    async fn permission(&self, name: &Permission) -> Result<Option<PermissionRow>, StoreError> {
        let name = name.clone();
        self.read(move |db| roles::find_permission(db, name.as_str())).await
    }

    async fn permissions(&self, page: &PageRequest) -> Result<Page<PermissionRow>, StoreError> {
        let page = page.clone();
        self.read(move |db| roles::list_permissions(db, &page)).await
    }

    async fn key(&self, id: Uuid) -> Result<Option<KeyRow>, StoreError> {
        self.read(move |db| keys::find(db, id)).await
    }

    async fn keys(
        &self,
        filter: &KeyFilter,
        page: &PageRequest,
    ) -> Result<Page<KeyRow>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |db| keys::list(db, filter, &page)).await
    }

    async fn key_counts(&self, now: Timestamp) -> Result<KeyCounts, StoreError> {
        self.readers.run(BULK_PATIENCE, move |db| keys::counts(db, now)).await
    }

    async fn tiers_in_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.readers.run(BULK_PATIENCE, |db| users::tiers_in_use(db)).await
    }

    async fn has_admin(&self) -> Result<bool, StoreError> {
        self.read(users::has_admin).await
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        let batch = batch.clone();
        self.writer.run(BULK_PATIENCE, move |db| usage::record(db, &batch)).await
    }

    async fn usage_records(
        &self,
        filter: &UsageFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<UsagePage, StoreError> {
        let filter = filter.clone();
        let work = move |db: &mut Connection| usage::records(db, filter, before, limit);
        self.readers.run(BULK_PATIENCE, work).await
    }

    async fn usage_sums(
        &self,
        filter: &RollupFilter,
        grouping: Grouping,
    ) -> Result<Vec<GroupSums>, StoreError> {
        let filter = filter.clone();
        let work = move |db: &mut Connection| usage::sums(db, &filter, grouping);
        self.readers.run(BULK_PATIENCE, work).await
    }

    async fn usage_rollups(
        &self,
        filter: &RollupFilter,
        after: Option<&RollupKey>,
        limit: usize,
    ) -> Result<Vec<Rollup>, StoreError> {
        let (filter, after) = (filter.clone(), after.cloned());
        let work = move |db: &mut Connection| usage::page(db, &filter, after, limit);
        self.readers.run(BULK_PATIENCE, work).await
    }

    async fn keep_usage(&self, retention: &Retention) -> Result<bool, StoreError> {
        let retention = *retention;
        self.writer.run(BULK_PATIENCE, move |db| usage::keep(db, &retention)).await
    }

    async fn usage_count(&self) -> Result<u64, StoreError> {
        let count = |db: &mut Connection| value(db, "SELECT count(*) FROM api_usage", []);
        self.readers.run(BULK_PATIENCE, count).await
    }

    async fn lease_quota(
        &self,
        account: &QuotaAccount,
        limit: u64,
        want: u64,
    ) -> Result<QuotaLease, StoreError> {
        let account = *account;
        self.writer.run(PATIENCE, move |db| quota::lease(db, &account, limit, want)).await
    }

    async fn settle_quotas(&self, deltas: &[(QuotaAccount, i64)]) -> Result<(), StoreError> {
        let deltas = deltas.to_vec();
        self.writer.run(PATIENCE, move |db| quota::settle(db, &deltas)).await
    }

    async fn forget_quotas(&self, before: Timestamp) -> Result<(), StoreError> {
        self.writer.run(BULK_PATIENCE, move |db| quota::forget(db, before)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|db| value::<i64>(db, "SELECT only_row FROM instance", []).map(drop)).await
    }
}

fn instance(db: &Connection) -> Result<Instance, StoreError> {
    let sql = "SELECT id, id_key, secret_fingerprint FROM instance";
    let instance = one(db, sql, [], |row| {
        let fingerprint: Option<Vec<u8>> = row.get(2)?;
        Ok(Instance {
            id: row.get::<_, Id>(0)?.0,
            id_key: stored::id_key(&row.get::<_, Vec<u8>>(1)?)?,
            secret_fingerprint: fingerprint.as_deref().map(stored::fingerprint).transpose()?,
        })
    })?;
    instance.ok_or_else(|| StoreError::Incompatible("it has no instance row".into()))
}
