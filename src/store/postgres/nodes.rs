//! The nodes that serve from this store, by the clock of its server: theirs may differ.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;

use super::query::{all, run};
use crate::store::{NodeRow, StoreError};

pub(super) async fn report(db: &ClientWrapper, node: &str, applied: u64) -> Result<(), StoreError> {
    let sql = "INSERT INTO nodes (name, applied, seen_at) VALUES ($1, $2, clock_timestamp())
               ON CONFLICT (name) DO UPDATE
                  SET applied = excluded.applied, seen_at = excluded.seen_at";
    run(db, sql, &[&node, &(applied as i64)]).await?;
    let sql = "DELETE FROM nodes
                WHERE seen_at < clock_timestamp() - make_interval(secs => $1)";
    run(db, sql, &[&NodeRow::REMEMBERED.as_secs_f64()]).await.map(drop)
}

pub(super) async fn forget(db: &ClientWrapper, node: &str) -> Result<(), StoreError> {
    run(db, "DELETE FROM nodes WHERE name = $1", &[&node]).await.map(drop)
}

pub(super) async fn live(db: &ClientWrapper) -> Result<Vec<NodeRow>, StoreError> {
    let sql = "SELECT name, applied,
                      extract(epoch FROM clock_timestamp() - seen_at)::float8
                 FROM nodes
                WHERE seen_at > clock_timestamp() - make_interval(secs => $1)
                ORDER BY name LIMIT $2";
    all(db, sql, &[&NodeRow::LIVE.as_secs_f64(), &NodeRow::MOST], |row| {
        Ok(NodeRow {
            name: row.try_get(0)?,
            applied: row.try_get::<_, i64>(1)?.unsigned_abs(),
            silent_for: Duration::try_from_secs_f64(row.try_get(2)?).unwrap_or_default(),
        })
    })
    .await
}
