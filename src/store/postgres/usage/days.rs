//! Partitions of `api_usage`, one for each day: made ahead, dropped whole.

use std::collections::BTreeSet;

use deadpool_postgres::ClientWrapper;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::super::query::{all, run, value};
use crate::store::{Retention, StoreError};

/// Days that are made before they begin.
const AHEAD: i64 = 3;

/// Batches are remembered so long: a spool that was away for longer may count twice.
const REMEMBERED: &str = "30 days";

/// Rows forgotten at a time.
const PORTION: i64 = 5_000;

/// Who makes or drops partitions takes this lock. Any number will do, as long as it stays.
const LOCK: i64 = 0x6761_7465_706f_7303;

/// Makes the partitions that these instants need; inside a transaction.
pub(super) async fn make(
    db: &ClientWrapper,
    instants: impl Iterator<Item = Timestamp>,
) -> Result<(), StoreError> {
    let days: BTreeSet<Date> = instants.map(day).collect();
    let names: Vec<String> = days.iter().map(|day| name(*day)).collect();
    let sql = "SELECT count(to_regclass(name)) FROM unnest($1::text[]) AS name";
    if value::<i64>(db, sql, &[&names]).await? == names.len() as i64 {
        return Ok(());
    }
    run(db, "SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    for day in days {
        // The calendar ends in the year 9999, and no clock comes near.
        let next = day.tomorrow().unwrap_or(day);
        db.batch_execute(&format!(
            "CREATE TABLE IF NOT EXISTS {} PARTITION OF api_usage \
             FOR VALUES FROM ('{day} 00:00:00+00') TO ('{next} 00:00:00+00'); \
             CREATE INDEX IF NOT EXISTS {0}_created_at ON {0} USING brin (created_at)",
            name(day)
        ))
        .await?;
    }
    Ok(())
}

/// Makes the days to come, drops those that are over, and forgets a portion of the rest; inside a
/// transaction. Answers whether there is more to forget.
pub(in crate::store::postgres) async fn keep(
    db: &ClientWrapper,
    retention: &Retention,
) -> Result<bool, StoreError> {
    let ahead = (0..=AHEAD).filter_map(|n| retention.now.checked_add((24 * n).hours()).ok());
    make(db, ahead).await?;
    drop_before(db, day(retention.records_since)).await?;
    let sql = format!(
        "DELETE FROM usage_batches WHERE id IN
            (SELECT id FROM usage_batches WHERE at < $1::timestamptz - interval '{REMEMBERED}'
              LIMIT $2)"
    );
    let batches = run(db, &sql, &[&retention.now, &PORTION]).await?;
    let sql = "
        DELETE FROM usage_rollups WHERE ctid = ANY (ARRAY
            (SELECT ctid FROM usage_rollups WHERE minute < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))";
    let rollups = run(db, sql, &[&retention.rollups_since, &PORTION]).await?;
    Ok(batches.max(rollups) == PORTION as u64)
}

async fn drop_before(db: &ClientWrapper, first_kept: Date) -> Result<(), StoreError> {
    let sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'api_usage'::regclass";
    let names = all(db, sql, &[], |row| Ok(row.try_get::<_, String>(0)?)).await?;
    let first_kept = name(first_kept);
    // Names of one length sort as their days do; what an operator has made is left alone.
    let is_over = |name: &String| name.len() == first_kept.len() && *name < first_kept;
    for name in names.iter().filter(|name| is_over(name) && is_day(name)) {
        run(db, "SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        db.batch_execute(&format!("DROP TABLE IF EXISTS {name}")).await?;
    }
    Ok(())
}

fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn name(day: Date) -> String {
    format!("api_usage_{:04}_{:02}_{:02}", day.year(), day.month(), day.day())
}

fn is_day(name: &str) -> bool {
    let digits = name.strip_prefix("api_usage_").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}
