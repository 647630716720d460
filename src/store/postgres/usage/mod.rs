//! Usage: recorded a batch at a time, kept in partitions of a day, counted by the minute.

mod days;
mod read;

use std::collections::BTreeMap;
use std::pin::pin;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use super::pool::BULK;
use super::query::{run, transaction};
use crate::clock;
use crate::store::rollup::rollups;
use crate::store::{Rollup, StoreError, UsageBatch, UsageRecord};

pub(super) use days::keep;
pub(super) use read::{page, records, sums};

const COPY: &str = "
    COPY api_usage (user_id, api_key_id, endpoint, method, status_code, created_at, request_id,
                    node, route, outcome, gateway_time_us, upstream_time_us, request_bytes,
                    response_bytes, client_ip)
    FROM STDIN BINARY";

const COLUMNS: &[Type] = &[
    Type::UUID,
    Type::UUID,
    Type::TEXT,
    Type::TEXT,
    Type::INT2,
    Type::TIMESTAMPTZ,
    Type::UUID,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INET,
];

/// Records a batch once: its id goes in first, and a batch whose id is there already is done.
pub(super) async fn record(db: &ClientWrapper, batch: &UsageBatch) -> Result<(), StoreError> {
    transaction(db, BULK, async {
        let sql = "INSERT INTO usage_batches (id, at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        if run(db, sql, &[&batch.id, &clock::now()]).await? == 0 {
            return Ok(());
        }
        days::make(db, batch.records.iter().map(|record| record.at)).await?;
        copy(db, &batch.records).await?;
        count(db, &rollups(&batch.records)).await?;
        note_last_use(db, &batch.records).await
    })
    .await
}

async fn copy(db: &ClientWrapper, records: &[UsageRecord]) -> Result<(), StoreError> {
    let mut writer = pin!(BinaryCopyInWriter::new(db.copy_in(COPY).await?, COLUMNS));
    for record in records {
        writer
            .as_mut()
            .write(&[
                &record.user_id,
                &record.key_id,
                &&*record.path,
                &record.method.as_str(),
                &(record.status as i16),
                &record.at,
                &record.request_id,
                &&*record.node,
                &record.route.as_deref(),
                &record.outcome.code(),
                &i64::from(record.gateway_time_us),
                &record.upstream_time_us.map(i64::from),
                &signed(record.request_bytes),
                &signed(record.response_bytes),
                &record.client_ip,
            ])
            .await?;
    }
    writer.finish().await?;
    Ok(())
}

/// Adds to the counts by the minute.
async fn count(db: &ClientWrapper, rollups: &[Rollup]) -> Result<(), StoreError> {
    fn column<T>(rollups: &[Rollup], of: impl FnMut(&Rollup) -> T) -> Vec<T> {
        rollups.iter().map(of).collect()
    }
    let sql = "
        INSERT INTO usage_rollups AS r (minute, user_id, api_key_id, route, outcome, latency,
                                        requests, errors, gateway_time_us, upstream_time_us,
                                        request_bytes, response_bytes)
        SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::uuid[], $4::text[], $5::text[],
                             $6::smallint[], $7::bigint[], $8::bigint[], $9::bigint[],
                             $10::bigint[], $11::bigint[], $12::bigint[])
        ON CONFLICT (minute, user_id, api_key_id, route, outcome, latency) DO UPDATE
           SET requests = r.requests + excluded.requests,
               errors = r.errors + excluded.errors,
               gateway_time_us = r.gateway_time_us + excluded.gateway_time_us,
               upstream_time_us = r.upstream_time_us + excluded.upstream_time_us,
               request_bytes = r.request_bytes + excluded.request_bytes,
               response_bytes = r.response_bytes + excluded.response_bytes";
    run(
        db,
        sql,
        &[
            &column(rollups, |r| r.key.minute),
            &column(rollups, |r| r.key.user_id),
            &column(rollups, |r| r.key.key_id),
            &column(rollups, |r| r.key.route.clone()),
            &column(rollups, |r| r.key.outcome.clone()),
            &column(rollups, |r| r.key.latency),
            &column(rollups, |r| r.sums.requests),
            &column(rollups, |r| r.sums.errors),
            &column(rollups, |r| r.sums.gateway_time_us),
            &column(rollups, |r| r.sums.upstream_time_us),
            &column(rollups, |r| r.sums.request_bytes),
            &column(rollups, |r| r.sums.response_bytes),
        ],
    )
    .await?;
    Ok(())
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The rows are locked in the order of their ids, so that nodes that record at the same time do
/// not wait for each other in a circle.
async fn note_last_use(db: &ClientWrapper, records: &[UsageRecord]) -> Result<(), StoreError> {
    let mut last = BTreeMap::new();
    for record in records {
        let Some(key) = record.key_id else { continue };
        let at = last.entry(key).or_insert(record.at);
        *at = record.at.max(*at);
    }
    let (keys, times): (Vec<_>, Vec<_>) = last.into_iter().unzip();
    let sql = "
        WITH used AS (
            SELECT k.id, u.at
              FROM api_keys k JOIN unnest($1::uuid[], $2::timestamptz[]) AS u (id, at) USING (id)
             ORDER BY k.id
               FOR NO KEY UPDATE OF k)
        UPDATE api_keys k SET last_used_at = greatest(k.last_used_at, used.at)
          FROM used WHERE k.id = used.id";
    run(db, sql, &[&keys, &times]).await?;
    Ok(())
}
