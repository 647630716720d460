use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::{Node, ServeError};

/// How long clients are told to go elsewhere before the listener closes, under load. Long enough
/// for every busy connection to see one `Connection: close`, so that none is cut between two
/// requests.
const ANNOUNCE: Duration = Duration::from_secs(1);

/// Without a request for this long, nobody needs the announcement.
const QUIET: Duration = Duration::from_millis(50);

const TICK: Duration = Duration::from_millis(5);

/// Waits for SIGTERM or SIGINT, then stops in an order that loses nothing:
/// not ready, ask clients to leave, stop accepting, finish what is in flight, flush usage.
///
/// A second signal ends it at once.
pub(super) async fn until_stopped(mut node: Node) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Runtime)?;
    let mut failed = None;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        error = node.data.failed() => failed = Some(error),
        error = &mut node.store_failed => failed = error.ok(),
    }
    if let Some(error) = failed {
        finish(node).await;
        return Err(error);
    }
    tracing::info!(grace_seconds = node.grace.as_secs(), "stopping");
    node.health.drain();
    tokio::select! {
        () = settle(&mut node) => {}
        _ = terminate.recv() => tracing::warn!("stopping at once"),
        _ = interrupt.recv() => tracing::warn!("stopping at once"),
    }
    finish(node).await;
    Ok(())
}

/// Until nothing is in flight, or the grace time is over.
async fn settle(node: &mut Node) {
    let deadline = Instant::now() + node.grace;
    announce(node, deadline).await;
    node.data.stop_accepting().await;
    while node.data.in_flight().count() > 0 {
        if Instant::now() >= deadline {
            tracing::warn!(cut = node.data.in_flight().count(), "the grace time is over");
            return;
        }
        sleep(TICK).await;
    }
}

/// Every answer now says `Connection: close`. Ends when no request has come for a moment.
async fn announce(node: &Node, deadline: Instant) {
    let end = deadline.min(Instant::now() + ANNOUNCE);
    let mut seen = node.data.in_flight().started();
    let mut since = Instant::now();
    while Instant::now() < end {
        sleep(TICK).await;
        let started = node.data.in_flight().started();
        if started != seen || node.data.in_flight().count() > 0 {
            seen = started;
            since = Instant::now();
        } else if since.elapsed() >= QUIET {
            return;
        }
    }
}

/// The last of the requests has been recorded: write what is queued, then leave.
async fn finish(node: Node) {
    node.data.end();
    let _ = node.stop_usage.send(true);
    match node.usage.await {
        Ok(0) => {}
        Ok(lost) => tracing::error!(lost, "usage records could not be written"),
        Err(error) => tracing::error!(%error, "the usage worker ended"),
    }
    let _ = node.stop_guard.send(true);
    let _ = node.sharing.await;
    let _ = node.stop_management.send(true);
    if tokio::time::timeout(Duration::from_secs(2), node.management).await.is_err() {
        tracing::warn!("the management listener did not end in time");
    }
    tracing::info!("stopped");
}
