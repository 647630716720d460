use std::net::IpAddr;
use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::decision::Outcome;

/// One request, allowed or refused.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRecord {
    pub at: Timestamp,
    pub request_id: Uuid,
    /// The node that served it.
    pub node: Arc<str>,
    pub user_id: Option<Uuid>,
    pub key_id: Option<Uuid>,
    /// The route's name.
    pub route: Option<Arc<str>>,
    pub method: Method,
    /// The path without its query, cut to 2 KiB.
    pub path: Box<str>,
    pub status: u16,
    pub outcome: Outcome,
    /// What Gatepost itself took.
    pub gateway_time_us: u32,
    /// From the connection to the upstream to its last byte.
    pub upstream_time_us: Option<u32>,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub client_ip: IpAddr,
}

/// Records that are written together, once.
#[derive(Clone, Debug)]
pub struct UsageBatch {
    pub id: Uuid,
    pub records: Vec<UsageRecord>,
}

/// A record as it is kept, for people. What a newer version wrote is shown as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsageRow {
    /// In the order of arrival at the store.
    pub id: i64,
    pub at: Timestamp,
    pub request_id: Uuid,
    pub node: String,
    pub user_id: Option<Uuid>,
    pub key_id: Option<Uuid>,
    pub route: Option<String>,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub outcome: String,
    pub gateway_time_us: i64,
    pub upstream_time_us: Option<i64>,
    pub request_bytes: i64,
    pub response_bytes: i64,
    pub client_ip: IpAddr,
}

#[derive(Clone, Debug, Default)]
pub struct UsageFilter {
    pub from: Option<Timestamp>,
    /// The first instant that is not meant any more.
    pub to: Option<Timestamp>,
    pub user_id: Option<Uuid>,
    pub key_id: Option<Uuid>,
    pub route: Option<String>,
    pub outcome: Option<String>,
    pub method: Option<String>,
    pub status: Option<u16>,
    pub request_id: Option<Uuid>,
    pub client_ip: Option<IpAddr>,
}

/// A part of the records, newest first.
#[derive(Clone, Debug)]
pub struct UsagePage {
    pub rows: Vec<UsageRow>,
    /// Where to go on, if there is more. A page may be empty and have more behind it: the rows
    /// looked through for one page have a bound, whatever the filter leaves of them.
    pub next: Option<i64>,
}

/// Rows looked through for one page of records, or for those to forget.
pub(super) const SCAN: i64 = 100_000;

impl UsagePage {
    /// The page out of what was found with ids from `floor` up; `oldest` is the oldest id kept.
    pub(super) fn cut(mut rows: Vec<UsageRow>, limit: usize, floor: i64, oldest: i64) -> Self {
        let next = match rows.len() > limit {
            true => {
                rows.truncate(limit);
                rows.last().map(|row| row.id)
            }
            false => (floor > oldest).then_some(floor),
        };
        Self { rows, next }
    }
}

/// How long what is recorded is kept, as the oldest that stays.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    pub now: Timestamp,
    pub records_since: Timestamp,
    pub rollups_since: Timestamp,
}
