//! Usage records, a batch at a time.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior, params};

use super::values::{Id, Micros, run};
use crate::clock;
use crate::store::{StoreError, UsageBatch, UsageRecord};

/// Records a batch once: its id goes in first, and a batch whose id is there already is done.
pub(super) fn record(db: &mut Connection, batch: &UsageBatch) -> Result<(), StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "INSERT INTO usage_batches (id, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    if run(&tx, sql, params![Id(batch.id), Micros(clock::now())])? == 0 {
        return Ok(());
    }
    for record in &batch.records {
        insert(&tx, record)?;
    }
    note_last_use(&tx, &batch.records)?;
    Ok(tx.commit()?)
}

fn insert(db: &Connection, record: &UsageRecord) -> Result<(), StoreError> {
    run(
        db,
        "INSERT INTO api_usage (user_id, api_key_id, endpoint, method, status_code, created_at,
                                request_id, node, route, outcome, gateway_time_us,
                                upstream_time_us, request_bytes, response_bytes, client_ip)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            record.user_id.map(Id),
            record.key_id.map(Id),
            record.path,
            record.method,
            record.status,
            Micros(record.at),
            Id(record.request_id),
            record.node,
            record.route,
            record.outcome.code(),
            record.gateway_time_us,
            record.upstream_time_us,
            record.request_bytes.min(i64::MAX as u64) as i64,
            record.response_bytes.min(i64::MAX as u64) as i64,
            record.client_ip.to_string(),
        ],
    )?;
    Ok(())
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
