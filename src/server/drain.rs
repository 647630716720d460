use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::{Node, ServeError};

const TICK: Duration = Duration::from_millis(5);

/// Waits for SIGTERM or SIGINT, then stops in an order that loses nothing:
/// not ready, stop accepting, ask clients to leave, finish what is in flight, flush usage.
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
    node.data.stop_accepting(deadline).await;
    while node.data.in_flight().count() > 0 {
        if Instant::now() >= deadline {
            tracing::warn!(cut = node.data.in_flight().count(), "the grace time is over");
            return;
        }
        sleep(TICK).await;
    }
}

/// The last of the requests has been recorded: write what is queued, then leave.
async fn finish(node: Node) {
    node.data.end();
    let _ = node.stop_usage.send(true);
    match node.usage.await {
        Ok(true) => {}
        Ok(false) => tracing::warn!("usage records stay in the spool until the next start"),
        Err(error) => tracing::error!(%error, "the usage worker ended"),
    }
    if let Err(error) = node.leases.await {
        tracing::error!(%error, "the keeper of quotas ended");
    }
    let _ = node.presence.await;
    let _ = node.stop_guard.send(true);
    let _ = node.sharing.await;
    let _ = node.stop_management.send(true);
    if tokio::time::timeout(Duration::from_secs(2), node.management).await.is_err() {
        tracing::warn!("the management listener did not end in time");
    }
    tracing::info!("stopped");
}
