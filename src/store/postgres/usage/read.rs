//! What was recorded, and what was counted.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;

use super::super::query::{Select, one};
use crate::store::usage::SCAN;
use crate::store::{
    GroupSums, Grouping, Rollup, RollupFilter, RollupKey, StoreError, Sums, UsageFilter, UsagePage,
    UsageRow,
};

const SUMS: &str = "
    sum(requests)::bigint, sum(errors)::bigint, sum(gateway_time_us)::bigint,
    sum(upstream_time_us)::bigint, sum(request_bytes)::bigint, sum(response_bytes)::bigint";

pub(in crate::store::postgres) async fn records(
    db: &ClientWrapper,
    filter: &UsageFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<UsagePage, StoreError> {
    let sql = "SELECT min(id), max(id) FROM api_usage";
    let ends: Option<(Option<i64>, Option<i64>)> =
        one(db, sql, &[], |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?;
    let Some((Some(oldest), Some(newest))) = ends else {
        return Ok(UsagePage { rows: Vec::new(), next: None });
    };
    let before: i64 = before.unwrap_or(newest + 1);
    let floor = before.saturating_sub(SCAN);
    let sql = "
        SELECT id, created_at, request_id, node, user_id, api_key_id, route, method, endpoint,
               status_code, outcome, gateway_time_us, upstream_time_us, request_bytes,
               response_bytes, client_ip
          FROM api_usage WHERE true";
    let rows = Select::new(sql.into())
        .and("id < ?", Some(before))
        .and("id >= ?", Some(floor))
        .and("created_at >= ?", filter.from)
        .and("created_at < ?", filter.to)
        .and("user_id = ?", filter.user_id)
        .and("api_key_id = ?", filter.key_id)
        .and("route = ?", filter.route.clone())
        .and("outcome = ?", filter.outcome.clone())
        .and("method = ?", filter.method.clone())
        .and("status_code = ?", filter.status.map(|status| status as i16))
        .and("request_id = ?", filter.request_id)
        .and("client_ip = ?", filter.client_ip)
        .rows(db, "id DESC", limit as i64 + 1, read_record)
        .await?;
    Ok(UsagePage::cut(rows, limit, floor, oldest))
}

fn read_record(row: &Row) -> Result<UsageRow, StoreError> {
    Ok(UsageRow {
        id: row.try_get(0)?,
        at: row.try_get(1)?,
        request_id: row.try_get(2)?,
        node: row.try_get(3)?,
        user_id: row.try_get(4)?,
        key_id: row.try_get(5)?,
        route: row.try_get(6)?,
        method: row.try_get(7)?,
        path: row.try_get(8)?,
        status: row.try_get::<_, i16>(9)? as u16,
        outcome: row.try_get(10)?,
        gateway_time_us: row.try_get(11)?,
        upstream_time_us: row.try_get(12)?,
        request_bytes: row.try_get(13)?,
        response_bytes: row.try_get(14)?,
        client_ip: row.try_get(15)?,
    })
}

pub(in crate::store::postgres) async fn sums(
    db: &ClientWrapper,
    filter: &RollupFilter,
    grouping: Grouping,
) -> Result<Vec<GroupSums>, StoreError> {
    let (group, only) = match grouping {
        Grouping::Whole => ("''".into(), String::new()),
        // The filter's first parameter is the start.
        Grouping::Steps(minutes) => (
            format!("(extract(epoch FROM minute - $1)::bigint / {})::text", minutes * 60),
            String::new(),
        ),
        Grouping::Top(dimension, count) => {
            let column = dimension.column();
            let top = format!(
                " WHERE {column} IN (SELECT {column} FROM counted GROUP BY {column}
                                      ORDER BY sum(requests) DESC, {column} LIMIT {count})"
            );
            (format!("{column}::text"), top)
        }
    };
    filtered("WITH counted AS (SELECT * FROM usage_rollups WHERE true", filter)
        .all(
            db,
            &format!(
                ") SELECT {group}, latency, {SUMS} FROM counted{only} GROUP BY 1, 2 ORDER BY 1, 2"
            ),
            |row| {
                Ok(GroupSums {
                    group: row.try_get(0)?,
                    latency: row.try_get(1)?,
                    sums: read_sums(row, 2)?,
                })
            },
        )
        .await
}

pub(in crate::store::postgres) async fn page(
    db: &ClientWrapper,
    filter: &RollupFilter,
    after: Option<&RollupKey>,
    limit: usize,
) -> Result<Vec<Rollup>, StoreError> {
    const KEY: &str = "minute, user_id, api_key_id, route, outcome, latency";
    let select = filtered(
        &format!(
            "SELECT {KEY}, requests, errors, gateway_time_us, upstream_time_us, request_bytes,
                    response_bytes FROM usage_rollups WHERE true"
        ),
        filter,
    );
    let select = match after.cloned() {
        None => select,
        Some(key) => select
            .with(&format!(" AND ({KEY}) > (?"), key.minute)
            .with(", ?", key.user_id)
            .with(", ?", key.key_id)
            .with(", ?", key.route)
            .with(", ?", key.outcome)
            .with(", ?)", key.latency),
    };
    select.rows(db, KEY, limit as i64, read_rollup).await
}

fn read_rollup(row: &Row) -> Result<Rollup, StoreError> {
    let key = RollupKey {
        minute: row.try_get(0)?,
        user_id: row.try_get(1)?,
        key_id: row.try_get(2)?,
        route: row.try_get(3)?,
        outcome: row.try_get(4)?,
        latency: row.try_get(5)?,
    };
    Ok(Rollup { key, sums: read_sums(row, 6)? })
}

fn read_sums(row: &Row, first: usize) -> Result<Sums, StoreError> {
    Ok(Sums {
        requests: row.try_get(first)?,
        errors: row.try_get(first + 1)?,
        gateway_time_us: row.try_get(first + 2)?,
        upstream_time_us: row.try_get(first + 3)?,
        request_bytes: row.try_get(first + 4)?,
        response_bytes: row.try_get(first + 5)?,
    })
}

fn filtered(sql: &str, filter: &RollupFilter) -> Select {
    Select::new(sql.into())
        .and("minute >= ?", Some(filter.from))
        .and("minute < ?", Some(filter.to))
        .and("user_id = ?", filter.user_id)
        .and("api_key_id = ?", filter.key_id)
        .and("route = ?", filter.route.clone())
        .and("outcome = ?", filter.outcome.clone())
}
