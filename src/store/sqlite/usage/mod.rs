//! Usage: recorded a batch at a time, counted by the minute, forgotten in portions.

mod read;

use std::collections::BTreeMap;
use std::fmt::Write;

use rusqlite::{Connection, TransactionBehavior, params};
use uuid::Uuid;

use super::values::{Id, Micros, run};
use crate::clock;
use crate::store::rollup::rollups;
use crate::store::usage::SCAN;
use crate::store::{Retention, Rollup, StoreError, UsageBatch, UsageRecord};

pub(super) use read::{page, records, sums};

/// Batches are remembered so long (30 days, in microseconds): a spool that was away for longer
/// may count twice.
const REMEMBERED: i64 = 30 * 24 * 3600 * 1_000_000;

/// Rows forgotten at a time: a change waits for no more.
const PORTION: usize = 5_000;

/// Records a batch once, for good: whoever sent it forgets it now, so unlike other commits it
/// must survive a power cut.
pub(super) fn record(db: &mut Connection, batch: &UsageBatch) -> Result<(), StoreError> {
    db.pragma_update(None, "synchronous", "FULL")?;
    let recorded = add(db, batch);
    db.pragma_update(None, "synchronous", "NORMAL")?;
    recorded
}

/// Its id goes in first, and a batch whose id is there already is done.
fn add(db: &mut Connection, batch: &UsageBatch) -> Result<(), StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "INSERT INTO usage_batches (id, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    if run(&tx, sql, params![Id(batch.id), Micros(clock::now())])? == 0 {
        return Ok(());
    }
    insert(&tx, &batch.records)?;
    for rollup in rollups(&batch.records) {
        count(&tx, rollup)?;
    }
    note_last_use(&tx, &batch.records)?;
    Ok(tx.commit()?)
}

/// The one statement that runs for every request: it is looked up once, and its texts are made
/// where they need no memory of their own.
fn insert(db: &Connection, records: &[UsageRecord]) -> Result<(), StoreError> {
    let mut insert = db.prepare_cached(
        "INSERT INTO api_usage (user_id, api_key_id, endpoint, method, status_code, created_at,
                                request_id, node, route, outcome, gateway_time_us,
                                upstream_time_us, request_bytes, response_bytes, client_ip)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    let [mut user, mut key, mut request] = [Uuid::encode_buffer(); 3];
    let mut client = String::new();
    for record in records {
        client.clear();
        // Writing to a string does not fail.
        let _ = write!(client, "{}", record.client_ip);
        insert.execute(params![
            record.user_id.map(|id| &*id.hyphenated().encode_lower(&mut user)),
            record.key_id.map(|id| &*id.hyphenated().encode_lower(&mut key)),
            record.path,
            record.method.as_str(),
            record.status,
            Micros(record.at),
            &*record.request_id.hyphenated().encode_lower(&mut request),
            record.node,
            record.route,
            record.outcome.code(),
            record.gateway_time_us,
            record.upstream_time_us,
            record.request_bytes.min(i64::MAX as u64) as i64,
            record.response_bytes.min(i64::MAX as u64) as i64,
            client,
        ])?;
    }
    Ok(())
}

/// Adds to the counts by the minute.
fn count(db: &Connection, Rollup { key, sums }: Rollup) -> Result<(), StoreError> {
    run(
        db,
        "INSERT INTO usage_rollups (minute, user_id, api_key_id, route, outcome, latency, requests,
                                    errors, gateway_time_us, upstream_time_us, request_bytes,
                                    response_bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT DO UPDATE
            SET requests = requests + excluded.requests,
                errors = errors + excluded.errors,
                gateway_time_us = gateway_time_us + excluded.gateway_time_us,
                upstream_time_us = upstream_time_us + excluded.upstream_time_us,
                request_bytes = request_bytes + excluded.request_bytes,
                response_bytes = response_bytes + excluded.response_bytes",
        params![
            Micros(key.minute),
            Id(key.user_id),
            Id(key.key_id),
            key.route,
            key.outcome,
            key.latency,
            sums.requests,
            sums.errors,
            sums.gateway_time_us,
            sums.upstream_time_us,
            sums.request_bytes,
            sums.response_bytes,
        ],
    )?;
    Ok(())
}

/// Forgets a portion of what is too old. Answers whether there is more.
///
/// Records arrive nearly in the order of their times, and there is no index on the time: only the
/// first ones are looked at. They are many more than a portion, so that those whose clock was wrong
/// do not keep the others from going.
pub(super) fn keep(db: &mut Connection, retention: &Retention) -> Result<bool, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "
        DELETE FROM api_usage
         WHERE id IN (SELECT id FROM (SELECT id, created_at FROM api_usage ORDER BY id LIMIT ?3)
                       WHERE created_at < ?1 LIMIT ?2)";
    let records = run(&tx, sql, params![Micros(retention.records_since), PORTION as i64, SCAN])?;
    let sql = "
        DELETE FROM usage_batches
         WHERE id IN (SELECT id FROM usage_batches WHERE at < ?1 LIMIT ?2)";
    let forgotten = retention.now.as_microsecond() - REMEMBERED;
    let batches = run(&tx, sql, params![forgotten, PORTION as i64])?;
    let sql = "
        DELETE FROM usage_rollups
         WHERE (minute, user_id, api_key_id, route, outcome, latency) IN
               (SELECT minute, user_id, api_key_id, route, outcome, latency
                  FROM usage_rollups WHERE minute < ?1 LIMIT ?2)";
    let rollups = run(&tx, sql, params![Micros(retention.rollups_since), PORTION as i64])?;
    tx.commit()?;
    Ok(records.max(batches).max(rollups) == PORTION)
}

fn note_last_use(db: &Connection, records: &[UsageRecord]) -> Result<(), StoreError> {
    let mut last = BTreeMap::new();
    for record in records {
        let Some(key) = record.key_id else { continue };
        let at = last.entry(key).or_insert(record.at);
        *at = record.at.max(*at);
    }
    for (key, at) in last {
        run(
            db,
            "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, ?2), ?2) WHERE id = ?1",
            params![Id(key), Micros(at)],
        )?;
    }
    Ok(())
}
