//! Records one by one: `kind=usage` of the logs.

use axum::extract::State;
use http::Uri;
use serde::Serialize;
use serde_json::{Value, json};

use super::parameters;
use crate::management::plane::Plane;
use crate::management::wire::{
    Answer, ApiError, AsyncPage, Format, Line, ListKey, Params, ok, stream,
};
use crate::store::{UsageFilter, UsagePage, UsageRow};

/// Rows read for an export at a time.
const PAGE: usize = 1_000;

#[derive(Serialize)]
struct Records {
    data: Vec<UsageRow>,
    /// A page may be empty and have more behind it.
    next_cursor: Option<String>,
}

pub async fn list(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, page) = Params::read(&uri, |params| {
        params.text("kind")?;
        Ok((parameters::records(params)?, params.page(ListKey::Number)?))
    })?;
    let before = page.after.and_then(|number| number.parse().ok());
    let UsagePage { rows, next } = plane.store().usage_records(&filter, before, page.limit).await?;
    let next_cursor = next.map(|next| ListKey::seal(&next.to_string()));
    ok(Records { data: rows, next_cursor })
}

pub async fn export(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, format) = Params::read(&uri, |params| {
        params.text("kind")?;
        Ok((parameters::records(params)?, Format::read(params)?))
    })?;
    let records = Pages { plane, filter, before: None, is_over: false };
    stream("usage", format, COLUMNS.map(|name| (name, Value::Null)).to_vec(), records).await
}

const COLUMNS: [&str; 15] = [
    "at",
    "request_id",
    "node",
    "user_id",
    "key_id",
    "route",
    "method",
    "path",
    "status",
    "outcome",
    "gateway_time_us",
    "upstream_time_us",
    "request_bytes",
    "response_bytes",
    "client_ip",
];

fn line(row: &UsageRow) -> Line {
    let values = [
        json!(row.at),
        json!(row.request_id),
        json!(row.node),
        json!(row.user_id),
        json!(row.key_id),
        json!(row.route),
        json!(row.method),
        json!(row.path),
        json!(row.status),
        json!(row.outcome),
        json!(row.gateway_time_us),
        json!(row.upstream_time_us),
        json!(row.request_bytes),
        json!(row.response_bytes),
        json!(row.client_ip),
    ];
    COLUMNS.into_iter().zip(values).collect()
}

struct Pages {
    plane: Plane,
    filter: UsageFilter,
    before: Option<i64>,
    is_over: bool,
}

impl AsyncPage for Pages {
    async fn next(&mut self) -> Result<Option<Vec<Line>>, ApiError> {
        if self.is_over {
            return Ok(None);
        }
        let page = self.plane.store().usage_records(&self.filter, self.before, PAGE).await?;
        self.before = page.next;
        self.is_over = page.next.is_none();
        Ok(Some(page.rows.iter().map(line).collect()))
    }
}
