//! The store on Postgres 13 and newer.
//!
//! Every call has a limit in time and goes past a circuit breaker: a server that hangs looks like
//! one that is dead. Changes wake the followers by NOTIFY; the table of changes is the truth.

mod address;
mod breaker;
mod commit;
mod error;
mod keys;
mod listen;
mod load;
mod log;
pub mod migrate;
mod nodes;
mod pool;
mod query;
mod quota;
mod receipts;
mod roles;
mod security;
mod tls;
mod usage;
mod users;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use self::address::Address;
use self::listen::Listener;
use self::pool::{BULK, MANAGEMENT, Pool, REQUEST};
use self::query::{one, transaction, value};
use super::migrate::Migration;
use super::{
    Actor, AuditFilter, AuditRow, ChainHead, ChainKeys, ChainOrigin, Change, Committed, FeedEntry,
    GroupSums, Grouping, Instance, KeptReceipt, KeyCounts, KeyFilter, KeyRow, NodeRow, Order, Page,
    PageRequest, PermissionRow, QuotaAccount, QuotaLease, Receipt, Retention, RoleRow, Rollup,
    RollupFilter, RollupKey, Store, StoreError, Terms, UsageBatch, UsageFilter, UsagePage,
    UserFilter, UserRow, stored,
};
use crate::key::{Digest, KeyRecord, LookupId, Permission};

pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "core",
        up: include_str!("../../../sql/postgres/0001_core.up.sql"),
        down: include_str!("../../../sql/postgres/0001_core.down.sql"),
    },
    Migration {
        version: 2,
        name: "limits",
        up: include_str!("../../../sql/postgres/0002_limits.up.sql"),
        down: include_str!("../../../sql/postgres/0002_limits.down.sql"),
    },
    Migration {
        version: 3,
        name: "usage",
        up: include_str!("../../../sql/postgres/0003_usage.up.sql"),
        down: include_str!("../../../sql/postgres/0003_usage.down.sql"),
    },
    Migration {
        version: 4,
        name: "security",
        up: include_str!("../../../sql/postgres/0004_security.up.sql"),
        down: include_str!("../../../sql/postgres/0004_security.down.sql"),
    },
    Migration {
        version: 5,
        name: "idempotency",
        up: include_str!("../../../sql/postgres/0005_idempotency.up.sql"),
        down: include_str!("../../../sql/postgres/0005_idempotency.down.sql"),
    },
    Migration {
        version: 6,
        name: "audit_chain",
        up: include_str!("../../../sql/postgres/0006_audit_chain.up.sql"),
        down: include_str!("../../../sql/postgres/0006_audit_chain.down.sql"),
    },
    Migration {
        version: 7,
        name: "nodes",
        up: include_str!("../../../sql/postgres/0007_nodes.up.sql"),
        down: include_str!("../../../sql/postgres/0007_nodes.down.sql"),
    },
];

pub struct PostgresStore {
    address: Address,
    pool: Pool,
    keys: ChainKeys,
    /// Changes queue here for the lock that they take in the database, not on connections of the
    /// pool, which loads need.
    turn: tokio::sync::Mutex<()>,
    changed: Arc<Notify>,
    /// Started by the first who waits for a change: the command line never does.
    listener: OnceLock<Listener>,
}

impl PostgresStore {
    /// Connects when it is first asked for something, and on the runtime that asks.
    ///
    /// # Errors
    /// The URL is wrong, or the certificates that it names cannot be read.
    pub fn open(url: &str, connections: usize, keys: ChainKeys) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        let pool = Pool::new(&address, connections)?;
        Ok(Self {
            address,
            pool,
            keys,
            turn: tokio::sync::Mutex::new(()),
            changed: Arc::new(Notify::new()),
            listener: OnceLock::new(),
        })
    }

    /// Work on many rows, in a transaction.
    async fn bulk<T>(
        &self,
        work: impl AsyncFnOnce(&ClientWrapper) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.pool.run(BULK, async |db| transaction(db, BULK, work(db)).await).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn instance(&self) -> Result<Instance, StoreError> {
        self.pool.run(REQUEST, instance).await
    }

    async fn claim_secret(&self) -> Result<(), StoreError> {
        let keys = &self.keys;
        self.pool.run(MANAGEMENT, async |db| log::claim(db, keys).await.map(drop)).await
    }

    async fn rotate_secret(&self, by: &Actor) -> Result<ChainHead, StoreError> {
        let keys = &self.keys;
        self.pool.run(log::ROTATE, async |db| log::rotate(db, keys, by).await).await
    }

    async fn chain_origin(&self) -> Result<ChainOrigin, StoreError> {
        self.pool.run(MANAGEMENT, log::origin).await
    }

    async fn chain_head(&self) -> Result<Option<ChainHead>, StoreError> {
        self.pool.run(MANAGEMENT, log::head).await
    }

    async fn audit(
        &self,
        filter: &AuditFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| log::list(db, filter, order, page).await).await
    }

    async fn commit_if(
        &self,
        change: Change,
        terms: &Terms,
        by: &Actor,
    ) -> Result<Committed, StoreError> {
        let Ok(_turn) = timeout(MANAGEMENT, self.turn.lock()).await else {
            return Err(StoreError::Unavailable("too many changes are waiting".into()));
        };
        let keys = &self.keys;
        self.pool
            .run(MANAGEMENT, async |db| commit::commit(db, change, terms, by, keys).await)
            .await
    }

    async fn receipt(
        &self,
        caller: Uuid,
        name: &str,
        now: Timestamp,
    ) -> Result<Option<KeptReceipt>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| receipts::find(db, caller, name, now).await).await
    }

    async fn keep_answer(&self, receipt: &Receipt, answer: &str) -> Result<(), StoreError> {
        self.pool.run(MANAGEMENT, async |db| receipts::keep_answer(db, receipt, answer).await).await
    }

    async fn load_key(&self, id: &LookupId) -> Result<Option<KeyRecord>, StoreError> {
        self.pool.run(REQUEST, async |db| load::key(db, id).await).await
    }

    async fn load_imported(&self, digest: &Digest) -> Result<Option<KeyRecord>, StoreError> {
        self.pool.run(REQUEST, async |db| load::imported(db, digest).await).await
    }

    async fn imported_digests(&self) -> Result<Vec<Digest>, StoreError> {
        self.pool.run(REQUEST, load::imported_digests).await
    }

    async fn changes_after(&self, seq: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        self.pool.run(REQUEST, async |db| load::changes_after(db, seq, limit).await).await
    }

    async fn newest_change(&self) -> Result<u64, StoreError> {
        self.pool.run(REQUEST, load::newest_change).await
    }

    async fn wait_for_change(&self) {
        self.listener
            .get_or_init(|| Listener::start(self.address.clone(), Arc::clone(&self.changed)));
        self.changed.notified().await;
    }

    async fn report_node(&self, node: &str, applied: u64) -> Result<(), StoreError> {
        self.pool.run(MANAGEMENT, async |db| nodes::report(db, node, applied).await).await
    }

    async fn forget_node(&self, node: &str) -> Result<(), StoreError> {
        self.pool.run(MANAGEMENT, async |db| nodes::forget(db, node).await).await
    }

    async fn live_nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        self.pool.run(MANAGEMENT, nodes::live).await
    }

    async fn user(&self, id: Uuid) -> Result<Option<UserRow>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| users::find(db, id).await).await
    }

    async fn users(
        &self,
        filter: &UserFilter,
        page: &PageRequest,
    ) -> Result<Page<UserRow>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| users::list(db, filter, page).await).await
    }

    async fn role(&self, name: &str) -> Result<Option<RoleRow>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| roles::find(db, name).await).await
    }

    async fn roles(&self, page: &PageRequest) -> Result<Page<RoleRow>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| roles::list(db, page).await).await
    }

    async fn permission(&self, name: &Permission) -> Result<Option<PermissionRow>, StoreError> {
        let find = async |db: &_| roles::find_permission(db, name.as_str()).await;
        self.pool.run(MANAGEMENT, find).await
    }

    async fn permissions(&self, page: &PageRequest) -> Result<Page<PermissionRow>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| roles::list_permissions(db, page).await).await
    }

    async fn key(&self, id: Uuid) -> Result<Option<KeyRow>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| keys::find(db, id).await).await
    }

    async fn keys(
        &self,
        filter: &KeyFilter,
        page: &PageRequest,
    ) -> Result<Page<KeyRow>, StoreError> {
        self.bulk(async |db| keys::list(db, filter, page).await).await
    }

    async fn key_counts(&self, now: Timestamp) -> Result<KeyCounts, StoreError> {
        self.bulk(async |db| keys::counts(db, now).await).await
    }

    async fn tiers_in_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.bulk(users::tiers_in_use).await
    }

    async fn has_admin(&self) -> Result<bool, StoreError> {
        self.pool.run(MANAGEMENT, users::has_admin).await
    }

    async fn record_usage(&self, batch: &UsageBatch) -> Result<(), StoreError> {
        self.pool.run(BULK, async |db| usage::record(db, batch).await).await
    }

    async fn usage_records(
        &self,
        filter: &UsageFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<UsagePage, StoreError> {
        self.bulk(async |db| usage::records(db, filter, before, limit).await).await
    }

    async fn usage_sums(
        &self,
        filter: &RollupFilter,
        grouping: Grouping,
    ) -> Result<Vec<GroupSums>, StoreError> {
        self.bulk(async |db| usage::sums(db, filter, grouping).await).await
    }

    async fn usage_rollups(
        &self,
        filter: &RollupFilter,
        after: Option<&RollupKey>,
        limit: usize,
    ) -> Result<Vec<Rollup>, StoreError> {
        self.bulk(async |db| usage::page(db, filter, after, limit).await).await
    }

    async fn keep_usage(&self, retention: &Retention) -> Result<bool, StoreError> {
        self.bulk(async |db| usage::keep(db, retention).await).await
    }

    async fn usage_count(&self) -> Result<u64, StoreError> {
        self.pool.run(BULK, usage_count).await
    }

    async fn lease_quota(
        &self,
        account: &QuotaAccount,
        limit: u64,
        want: u64,
    ) -> Result<QuotaLease, StoreError> {
        self.pool.run(REQUEST, async |db| quota::lease(db, account, limit, want).await).await
    }

    async fn settle_quotas(&self, deltas: &[(QuotaAccount, i64)]) -> Result<(), StoreError> {
        self.pool.run(MANAGEMENT, async |db| quota::settle(db, deltas).await).await
    }

    async fn forget_quotas(&self, before: Timestamp) -> Result<(), StoreError> {
        self.pool.run(BULK, async |db| quota::forget(db, before).await).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.pool.run(REQUEST, async |db| Ok(db.batch_execute("").await?)).await
    }
}

async fn instance(db: &ClientWrapper) -> Result<Instance, StoreError> {
    let sql = "SELECT id, id_key, secret_fingerprint FROM instance";
    let instance = one(db, sql, &[], |row| {
        let fingerprint: Option<&[u8]> = row.try_get(2)?;
        Ok(Instance {
            id: row.try_get(0)?,
            id_key: stored::id_key(row.try_get(1)?)?,
            secret_fingerprint: fingerprint.map(stored::fingerprint).transpose()?,
        })
    });
    instance.await?.ok_or_else(|| StoreError::Incompatible("it has no instance row".into()))
}

async fn usage_count(db: &ClientWrapper) -> Result<u64, StoreError> {
    let count = value::<i64>(db, "SELECT count(*) FROM api_usage", &[]);
    Ok(transaction(db, BULK, count).await? as u64)
}
