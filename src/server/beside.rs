use std::time::Duration;

use pingora::services::{ServiceReadyNotifier, ServiceWithDependents};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::proxy::Background;

/// How long all of it may take for the first time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts what resolves names and checks the health of upstreams, and waits until each has done so
/// once. It ends when `stopped` says so.
pub async fn start(background: Background, stopped: &watch::Receiver<bool>) {
    let deadline = Instant::now() + PATIENCE;
    for beside in background {
        first_run(beside, stopped.clone(), deadline).await;
    }
}

async fn first_run(
    mut beside: Box<dyn ServiceWithDependents>,
    stopped: watch::Receiver<bool>,
    deadline: Instant,
) {
    let name = beside.name().to_owned();
    let (ready, mut waiting) = watch::channel(false);
    tokio::spawn(async move {
        beside.start_service(None, stopped, 1, ServiceReadyNotifier::new(ready)).await;
    });
    if timeout_at(deadline, waiting.wait_for(|ready| *ready)).await.is_err() {
        tracing::warn!(upstream = name, "not resolved or checked yet; requests to it fail");
    }
}
