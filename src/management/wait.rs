//! `?wait=true`: a change is answered when it is effective on every node that lives.

use std::time::Duration;

use axum::response::Response;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts as Head;
use http::{HeaderMap, Method};
use tokio::time::{Instant, sleep};

use super::plane::ControlPlane;
use super::wire::{ApiError, Params};
use crate::store::{NodeRow, StoreError};

/// On how many of the nodes that live the change is effective: a dictionary (RFC 9651).
const NODES: HeaderName = HeaderName::from_static("x-gatepost-nodes");

/// A node that lags longer is told of, not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Whether a change is to be waited for. Reading takes parameters of its own.
pub(super) fn asked_for(head: &Head) -> Result<bool, ApiError> {
    if matches!(head.method, Method::GET | Method::HEAD) {
        return Ok(false);
    }
    Ok(Params::read(&head.uri, |params| params.boolean("wait"))?.unwrap_or(false))
}

/// Waits until what `response` tells is effective everywhere, and adds on how many nodes it is.
pub(super) async fn everywhere(plane: &ControlPlane, mut response: Response) -> Response {
    if response.status().is_success() {
        match until_applied(plane).await {
            Ok(reach) => reach.tell(response.headers_mut()),
            // The change is made, and nobody knows where it is effective beside here.
            Err(error) => tracing::warn!(%error, "the nodes that a change waits for are not known"),
        }
    }
    response
}

struct Reach {
    applied: usize,
    live: usize,
}

/// Whatever was changed before this is in the feed up to its newest entry.
async fn until_applied(plane: &ControlPlane) -> Result<Reach, StoreError> {
    let deadline = Instant::now() + PATIENCE;
    let newest = plane.store().newest_change().await?;
    let mut pause = SHORTEST_PAUSE;
    loop {
        let reach = reach(&plane.store().live_nodes().await?, &plane.parts.node, newest);
        if reach.applied == reach.live || Instant::now() >= deadline {
            return Ok(reach);
        }
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// A change is effective on the node that made it when it is answered, whatever was reported.
fn reach(nodes: &[NodeRow], here: &str, newest: u64) -> Reach {
    let others = || nodes.iter().filter(|node| node.name != here);
    Reach {
        applied: 1 + others().filter(|node| node.applied >= newest).count(),
        live: 1 + others().count(),
    }
}

impl Reach {
    fn tell(&self, headers: &mut HeaderMap) {
        let text = format!("applied={}, live={}", self.applied, self.live);
        // Two numbers are always a header value.
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(NODES, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, applied: u64) -> NodeRow {
        NodeRow { name: name.into(), applied, silent_for: Duration::ZERO }
    }

    #[test]
    fn who_made_a_change_counts_and_who_lags_does_not() {
        let nodes = [node("a", 3), node("b", 7), node("c", 8)];
        let Reach { applied, live } = reach(&nodes, "a", 7);
        assert_eq!((applied, live), (3, 3));
        let Reach { applied, live } = reach(&nodes, "b", 8);
        assert_eq!((applied, live), (2, 3));
        let Reach { applied, live } = reach(&[], "a", 7);
        assert_eq!((applied, live), (1, 1));
    }
}
