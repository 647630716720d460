//! The operations, by subject. Who may call them is in the table, not here.

pub mod documents;
pub mod keys;
pub mod logs;
pub mod permissions;
pub mod profile;
pub mod roles;
pub mod security;
pub mod status;
pub mod system;
pub mod usage;
pub mod users;
