//! One observation, one usage record and one access line for every request from the listener.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::response::Response;
use http::Method;
use http::header::CONTENT_LENGTH;
use http::request::Parts as Head;
use jiff::Timestamp;
use uuid::Uuid;

use super::caller::Visit;
use super::plane::ControlPlane;
use crate::clock;
use crate::decision::{Outcome, Standing};
use crate::key::KeyRecord;
use crate::metrics::Observation;
use crate::policy::Route;
use crate::store::UsageRecord;

/// The longest path that is kept.
const MAX_PATH: usize = 2 * 1024;

/// The route of a request that matched none, as a metric label.
const NO_ROUTE: &str = "none";

/// What is recorded of a request, kept while the request itself is used up.
pub(super) struct Asked {
    at: Timestamp,
    since: Instant,
    method: Method,
    /// Without the query.
    path: String,
    bytes: u64,
}

impl Asked {
    pub(super) fn of(head: &Head) -> Self {
        let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        Self {
            at: clock::now(),
            since: Instant::now(),
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            bytes: length.and_then(|length| length.parse().ok()).unwrap_or(0),
        }
    }
}

/// A request's answer, and what was known of it on the way.
pub(super) struct Served {
    pub response: Response,
    pub route: Option<Arc<Route>>,
    pub key: Option<Arc<KeyRecord>>,
    /// Where the caller stands with their limits.
    pub standing: Option<Standing>,
}

pub(super) fn record(
    plane: &ControlPlane,
    visit: &Visit,
    asked: Asked,
    served: &Served,
    outcome: Outcome,
) {
    let took = asked.since.elapsed();
    plane.parts.metrics.observe(&Observation {
        route: served.route.as_ref().map_or(NO_ROUTE, |route| &route.name),
        method: &asked.method,
        status: served.response.status().as_u16(),
        outcome,
        waived: false,
        total: took,
        upstream: None,
    });
    // Probes come every few seconds from machines: a series is enough.
    if plane.is_probe(&asked.path) {
        return;
    }
    let usage = usage_record(plane, visit, asked, served, outcome, took);
    log_access(&usage);
    plane.parts.recorder.record(usage);
}

fn usage_record(
    plane: &ControlPlane,
    visit: &Visit,
    asked: Asked,
    served: &Served,
    outcome: Outcome,
    took: Duration,
) -> UsageRecord {
    UsageRecord {
        at: asked.at,
        request_id: visit.request_id,
        node: Arc::clone(&plane.parts.node),
        user_id: served.key.as_ref().map(|key| key.owner.id),
        key_id: served.key.as_ref().map(|key| key.id),
        route: served.route.as_ref().map(|route| Arc::clone(&route.name)),
        method: asked.method,
        path: asked.path[..asked.path.floor_char_boundary(MAX_PATH)].into(),
        status: served.response.status().as_u16(),
        outcome,
        gateway_time_us: u32::try_from(took.as_micros()).unwrap_or(u32::MAX),
        upstream_time_us: None,
        request_bytes: asked.bytes,
        response_bytes: served.response.body().size_hint().exact().unwrap_or(0),
        client_ip: visit.client,
    }
}

/// The fields are a closed list: never a query, never a header's value.
fn log_access(usage: &UsageRecord) {
    tracing::info!(
        target: "gatepost::access",
        request_id = %usage.request_id,
        user_id = usage.user_id.as_ref().map(Uuid::to_string),
        key_id = usage.key_id.as_ref().map(Uuid::to_string),
        route = usage.route.as_deref(),
        method = usage.method.as_str(),
        path = &*usage.path,
        status = usage.status,
        outcome = usage.outcome.code(),
        gateway_us = usage.gateway_time_us,
        request_bytes = usage.request_bytes,
        response_bytes = usage.response_bytes,
        client = %usage.client_ip,
        "request"
    );
}
