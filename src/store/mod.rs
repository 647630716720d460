//! The store: what it promises, and two that keep the promises.
//!
//! One conformance suite (`tests/it/store`) runs on both; each promise below is a named case.

mod audit;
mod chain;
mod change;
mod contract;
mod node;
mod quota;
mod rollup;
mod rows;
mod security;
mod stored;
mod terms;
mod usage;
mod violation;

pub mod migrate;
pub mod postgres;
pub mod sqlite;

use std::sync::Arc;

pub use chain::{Break, Chain, ChainHead, ChainKeys, ChainMac, ChainOrigin};
pub use change::{
    Actor, Change, Committed, KeyPatch, NewKey, NewPermission, NewRole, NewUser, RolePatch,
    UserPatch,
};
pub use contract::{FeedEntry, FeedSubject, Instance, Store, StoreError};
pub use node::NodeRow;
pub use quota::{QuotaAccount, QuotaHolder, QuotaLease};
pub use rollup::{
    Dimension, GroupSums, Grouping, Rollup, RollupFilter, RollupKey, Sums, bounds, minute,
};
pub use rows::{
    Attention, AuditEntry, AuditFilter, AuditRow, KeyCounts, KeyFilter, KeyRow, Order, Page,
    PageRequest, PermissionRow, RoleRow, UserFilter, UserRow,
};
pub use security::{
    AttemptFilter, EventFilter, EventOrder, EventRow, FailedAttempts, LockoutFilter, LockoutRow,
    RoleChanges, SecurityStore,
};
pub use terms::{KeptReceipt, Receipt, Terms};
pub use usage::{Retention, UsageBatch, UsageFilter, UsagePage, UsageRecord, UsageRow};

use crate::config::{StoreSettings, StoreUrl};

/// What a process opens the store for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To serve requests. An embedded store has one such process at a time.
    Serving,
    /// To look or to change something beside it, as the command line does.
    Beside,
}

/// Opens the store that is configured. It must have been migrated ([`migrate::up`]).
///
/// An embedded store is opened at once. Postgres need not be there yet: calls answer
/// [`StoreError::Unavailable`] until it is. Call it on the runtime that will use the store.
/// Changes are chained under `keys`.
///
/// # Errors
/// The address is wrong, the file cannot be opened or its schema does not fit, or another process
/// serves from it.
pub async fn open(
    settings: &StoreSettings,
    access: Access,
    keys: ChainKeys,
) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match &settings.url {
        StoreUrl::Postgres(url) => {
            Arc::new(postgres::PostgresStore::open(url, settings.pool, keys)?)
        }
        StoreUrl::Sqlite(path) => Arc::new(sqlite::SqliteStore::open(path, access, keys)?),
    })
}
