//! What was recorded, and what was counted.

use rusqlite::{Connection, Row, params_from_iter};

use super::super::select::Select;
use super::super::values::{Id, Micros, all, one};
use crate::store::usage::SCAN;
use crate::store::{
    GroupSums, Grouping, Rollup, RollupFilter, RollupKey, StoreError, Sums, UsageFilter, UsagePage,
    UsageRow, stored,
};

const SUMS: &str = "sum(requests), sum(errors), sum(gateway_time_us), sum(upstream_time_us),
                    sum(request_bytes), sum(response_bytes)";

/// In microseconds, as times are kept.
const MINUTE: i64 = 60_000_000;

pub(in crate::store::sqlite) fn records(
    db: &Connection,
    filter: UsageFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<UsagePage, StoreError> {
    let sql = "SELECT (SELECT min(id) FROM api_usage), (SELECT max(id) FROM api_usage)";
    let ends: Option<(Option<i64>, Option<i64>)> =
        one(db, sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
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
    let (sql, values) = Select::new(sql.into())
        .and("id < ?", Some(before))
        .and("id >= ?", Some(floor))
        .and("created_at >= ?", filter.from.map(Micros))
        .and("created_at < ?", filter.to.map(Micros))
        .and("user_id = ?", filter.user_id.map(Id))
        .and("api_key_id = ?", filter.key_id.map(Id))
        .and("route = ?", filter.route)
        .and("outcome = ?", filter.outcome)
        .and("method = ?", filter.method)
        .and("status_code = ?", filter.status)
        .and("request_id = ?", filter.request_id.map(Id))
        .and("client_ip = ?", filter.client_ip.map(|ip| ip.to_string()))
        .ordered("id DESC", limit as i64 + 1);
    let rows = all(db, &sql, params_from_iter(values), read_record)?;
    Ok(UsagePage::cut(rows, limit, floor, oldest))
}

fn read_record(row: &Row<'_>) -> Result<UsageRow, StoreError> {
    let client_ip: String = row.get(15)?;
    Ok(UsageRow {
        id: row.get(0)?,
        at: row.get::<_, Micros>(1)?.0,
        request_id: row.get::<_, Id>(2)?.0,
        node: row.get(3)?,
        user_id: row.get::<_, Option<Id>>(4)?.map(|id| id.0),
        key_id: row.get::<_, Option<Id>>(5)?.map(|id| id.0),
        route: row.get(6)?,
        method: row.get(7)?,
        path: row.get(8)?,
        status: row.get(9)?,
        outcome: row.get(10)?,
        gateway_time_us: row.get(11)?,
        upstream_time_us: row.get(12)?,
        request_bytes: row.get(13)?,
        response_bytes: row.get(14)?,
        client_ip: client_ip.parse().map_err(|_| stored::unreadable("an address"))?,
    })
}

pub(in crate::store::sqlite) fn sums(
    db: &Connection,
    filter: &RollupFilter,
    grouping: Grouping,
) -> Result<Vec<GroupSums>, StoreError> {
    let (group, only) = match grouping {
        Grouping::Whole => ("''".into(), String::new()),
        // The filter's first parameter is the start.
        Grouping::Steps(minutes) => {
            (format!("CAST((minute - ?1) / {} AS TEXT)", minutes * MINUTE), String::new())
        }
        Grouping::Top(dimension, count) => {
            let column = dimension.column();
            let top = format!(
                " WHERE {column} IN (SELECT {column} FROM counted GROUP BY {column}
                                      ORDER BY sum(requests) DESC, {column} LIMIT {count})"
            );
            (column.into(), top)
        }
    };
    let end =
        format!(") SELECT {group}, latency, {SUMS} FROM counted{only} GROUP BY 1, 2 ORDER BY 1, 2");
    let (sql, values) =
        filtered("WITH counted AS (SELECT * FROM usage_rollups WHERE true", filter).ended(&end);
    all(db, &sql, params_from_iter(values), |row| {
        Ok(GroupSums { group: row.get(0)?, latency: row.get(1)?, sums: read_sums(row, 2)? })
    })
}

pub(in crate::store::sqlite) fn page(
    db: &Connection,
    filter: &RollupFilter,
    after: Option<RollupKey>,
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
    let select = match after {
        None => select,
        Some(key) => select
            .with(&format!(" AND ({KEY}) > (?"), Micros(key.minute))
            .with(", ?", Id(key.user_id))
            .with(", ?", Id(key.key_id))
            .with(", ?", key.route)
            .with(", ?", key.outcome)
            .with(", ?)", key.latency),
    };
    let (sql, values) = select.ordered(KEY, limit as i64);
    all(db, &sql, params_from_iter(values), read_rollup)
}

fn read_rollup(row: &Row<'_>) -> Result<Rollup, StoreError> {
    let key = RollupKey {
        minute: row.get::<_, Micros>(0)?.0,
        user_id: row.get::<_, Id>(1)?.0,
        key_id: row.get::<_, Id>(2)?.0,
        route: row.get(3)?,
        outcome: row.get(4)?,
        latency: row.get(5)?,
    };
    Ok(Rollup { key, sums: read_sums(row, 6)? })
}

fn read_sums(row: &Row<'_>, first: usize) -> Result<Sums, StoreError> {
    Ok(Sums {
        requests: row.get(first)?,
        errors: row.get(first + 1)?,
        gateway_time_us: row.get(first + 2)?,
        upstream_time_us: row.get(first + 3)?,
        request_bytes: row.get(first + 4)?,
        response_bytes: row.get(first + 5)?,
    })
}

fn filtered(sql: &str, filter: &RollupFilter) -> Select {
    Select::new(sql.into())
        .and("minute >= ?", Some(Micros(filter.from)))
        .and("minute < ?", Some(Micros(filter.to)))
        .and("user_id = ?", filter.user_id.map(Id))
        .and("api_key_id = ?", filter.key_id.map(Id))
        .and("route = ?", filter.route.clone())
        .and("outcome = ?", filter.outcome.clone())
}
