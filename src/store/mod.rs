//! The store: what it promises, and two that keep the promises.
//!
//! One conformance suite (`tests/it/store`) runs on both; each promise below is a named case.

mod change;
mod contract;
mod rows;
mod usage;

pub mod migrate;
pub mod postgres;
pub mod sqlite;

pub use change::{
    Actor, Change, Committed, KeyPatch, NewKey, NewPermission, NewRole, NewUser, RolePatch,
    UserPatch,
};
pub use contract::{FeedEntry, FeedSubject, Instance, Store, StoreError};
pub use rows::{KeyFilter, KeyRow, Page, PageRequest, PermissionRow, RoleRow, UserFilter, UserRow};
pub use usage::{UsageBatch, UsageRecord};
