//! How this node is doing: for probes, for anybody, and for operators.

use axum::extract::State;
use axum::response::IntoResponse;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts as Head;
use serde::Serialize;
use serde_json::json;

use crate::health::Health;
use crate::management::caller::Visit;
use crate::management::plane::Plane;
use crate::management::wire::{Answer, ok};

/// Alive is whoever answers. It asks nobody: a store that is away must not restart the node.
pub async fn live() -> Answer {
    ok(json!({ "status": "ok" }))
}

/// A degraded node stays ready: it serves the keys it knows.
pub async fn ready(State(plane): State<Plane>) -> Answer {
    let health = &plane.parts.health;
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, ok(json!({ "status": word(health) }))?).into_response())
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
    version: &'static str,
    #[serde(flatten)]
    diagnostics: Option<Diagnostics>,
}

#[derive(Serialize)]
struct Diagnostics {
    node: String,
    uptime_seconds: u64,
    /// Usage records that wait to be written.
    usage_waiting: usize,
}

/// Public; a key with `system:diagnostics` sees more. A key that is wrong sees what anybody sees.
pub async fn status(State(plane): State<Plane>, visit: Visit, head: Head) -> Answer {
    let diagnostics = plane.may_see_diagnostics(&visit, &head).await.then(|| Diagnostics {
        node: plane.parts.node.to_string(),
        uptime_seconds: plane.started.elapsed().as_secs(),
        usage_waiting: plane.parts.recorder.waiting(),
    });
    let status = word(&plane.parts.health);
    ok(Status { status, version: env!("CARGO_PKG_VERSION"), diagnostics })
}

pub async fn metrics(State(plane): State<Plane>) -> Answer {
    let text = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(CONTENT_TYPE, text)], plane.parts.metrics.render()).into_response())
}

fn word(health: &Health) -> &'static str {
    if health.is_draining() {
        "draining"
    } else if !health.is_ready() {
        "starting"
    } else if health.is_degraded() {
        "degraded"
    } else {
        "ready"
    }
}
