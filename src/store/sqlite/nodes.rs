//! The node that serves from this file.

use rusqlite::{Connection, params};

use super::values::{Micros, all, run};
use crate::clock;
use crate::store::{NodeRow, StoreError};

pub(super) fn report(db: &Connection, node: &str, applied: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO nodes (name, applied, seen_at) VALUES (?1, ?2, ?3)
               ON CONFLICT (name) DO UPDATE
                  SET applied = excluded.applied, seen_at = excluded.seen_at";
    run(db, sql, params![node, applied, Micros(clock::now())]).map(drop)
}

pub(super) fn forget(db: &Connection, node: &str) -> Result<(), StoreError> {
    run(db, "DELETE FROM nodes WHERE name = ?1", [node]).map(drop)
}

/// Who holds the file is the only node there is: what is left of others was killed.
pub(super) fn forget_all(db: &Connection) -> Result<(), StoreError> {
    run(db, "DELETE FROM nodes", []).map(drop)
}

pub(super) fn live(db: &Connection) -> Result<Vec<NodeRow>, StoreError> {
    let now = clock::now();
    let since = now - NodeRow::LIVE;
    let sql = "SELECT name, applied, seen_at FROM nodes WHERE seen_at > ?1 ORDER BY name LIMIT ?2";
    all(db, sql, params![Micros(since), NodeRow::MOST], |row| {
        let seen_at = row.get::<_, Micros>(2)?.0;
        Ok(NodeRow {
            name: row.get(0)?,
            applied: row.get(1)?,
            silent_for: now.duration_since(seen_at).unsigned_abs(),
        })
    })
}
