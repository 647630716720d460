//! The store on Postgres 13 and newer (its parts follow).

use super::migrate::Migration;

pub const MIGRATIONS: &[Migration] = &[];
