use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
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
    pub method: Box<str>,
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
