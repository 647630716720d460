//! What is written down about a request when it is over.

use std::sync::Arc;
use std::time::Duration;

use pingora::proxy::Session;
use uuid::Uuid;

use super::Proxy;
use super::context::{Context, Times};
use super::trace::trace_id;
use crate::decision::{Failure, Outcome};
use crate::metrics::Observation;
use crate::store::UsageRecord;

/// The longest path that is kept.
const MAX_PATH: usize = 2 * 1024;

/// The route of a request that matched none, as a metric label.
const NO_ROUTE: &str = "none";

/// One usage record, one observation and one access line, for every request that was read.
pub fn record(proxy: &Proxy, session: &Session, ctx: &Context) {
    let times = ctx.times();
    let status = status(session, ctx.outcome());
    proxy.metrics.observe(&Observation {
        route: ctx.route().map_or(NO_ROUTE, |route| &route.name),
        method: &session.req_header().method,
        status,
        outcome: ctx.outcome(),
        waived: ctx.is_waived(),
        total: times.total,
        upstream: times.upstream,
    });
    let usage = usage_record(proxy, session, ctx, &times, status);
    log_access(&usage, session, ctx);
    proxy.recorder.record(usage);
}

/// What the client got, or would have got.
fn status(session: &Session, outcome: Outcome) -> u16 {
    let written = session.response_written().map(|response| response.status);
    match (written.filter(|status| !status.is_informational() || status.as_u16() == 101), outcome) {
        (Some(status), _) => status.as_u16(),
        (None, Outcome::Fail(failure)) => failure.status().as_u16(),
        (None, _) => Failure::ClientGone.status().as_u16(),
    }
}

fn usage_record(
    proxy: &Proxy,
    session: &Session,
    ctx: &Context,
    times: &Times,
    status: u16,
) -> UsageRecord {
    let header = session.req_header();
    UsageRecord {
        at: ctx.at,
        request_id: ctx.request_id,
        node: Arc::clone(&proxy.node),
        user_id: ctx.key().map(|key| key.owner.id),
        key_id: ctx.key().map(|key| key.id),
        route: ctx.route().map(|route| Arc::clone(&route.name)),
        method: header.method.clone(),
        path: path_text(header.raw_path()),
        status,
        outcome: ctx.outcome(),
        gateway_time_us: micros(times.gateway()),
        upstream_time_us: times.upstream.map(micros),
        request_bytes: session.body_bytes_read() as u64,
        response_bytes: session.body_bytes_sent() as u64,
        client_ip: ctx.client,
    }
}

/// The path without its query, which may hold a key.
fn path_text(target: &[u8]) -> Box<str> {
    let end = target.iter().take(MAX_PATH).position(|&b| b == b'?');
    let path = &target[..end.unwrap_or(target.len().min(MAX_PATH))];
    String::from_utf8_lossy(path).into()
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// The fields are a closed list: never a query, never a header's value.
fn log_access(usage: &UsageRecord, session: &Session, ctx: &Context) {
    tracing::info!(
        target: "gatepost::access",
        request_id = %usage.request_id,
        trace_id = trace_id(&session.req_header().headers, usage.request_id),
        user_id = usage.user_id.as_ref().map(Uuid::to_string),
        key_id = usage.key_id.as_ref().map(Uuid::to_string),
        route = usage.route.as_deref(),
        method = usage.method.as_str(),
        path = &*usage.path,
        status = usage.status,
        outcome = usage.outcome.code(),
        shadow = ctx.is_waived().then_some(true),
        attempts = ctx.attempts,
        gateway_us = usage.gateway_time_us,
        upstream_us = usage.upstream_time_us,
        request_bytes = usage.request_bytes,
        response_bytes = usage.response_bytes,
        client = %usage.client_ip,
        "request"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_never_kept() {
        assert_eq!(&*path_text(b"/orders?api_key=gp_live_x"), "/orders");
        assert_eq!(&*path_text(b"/orders"), "/orders");
        assert_eq!(&*path_text(b"?x"), "");
    }

    #[test]
    fn a_long_or_broken_path_is_cut_and_mended() {
        assert_eq!(path_text(&[b'a'; 3 * MAX_PATH]).len(), MAX_PATH);
        assert_eq!(&*path_text(b"/\xff"), "/\u{fffd}");
        let late_query = [&[b'a'; MAX_PATH][..], b"?key"].concat();
        assert_eq!(path_text(&late_query).len(), MAX_PATH);
    }
}
