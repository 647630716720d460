use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::directory::Directory;

/// Several times within the time after which a silent node is taken for gone.
const EVERY: Duration = Duration::from_secs(2);

/// Between two reports, so that a burst of changes is a few.
const LEAST: Duration = Duration::from_millis(25);

/// Tells the store that this node lives and which changes are effective here, until `stop`
/// resolves; then that it is gone. Who waits for a change to be effective everywhere counts on it.
pub(super) async fn report(
    directory: Arc<Directory>,
    node: Arc<str>,
    stop: impl Future<Output = ()> + Send,
) {
    tokio::select! {
        () = report_for_ever(&directory, &node) => {}
        () = stop => {}
    }
    if let Err(error) = directory.store().forget_node(&node).await {
        tracing::debug!(%error, "the store cannot be told that this node stops");
    }
}

async fn report_for_ever(directory: &Directory, node: &str) {
    let mut applied = directory.applied();
    loop {
        let position = *applied.borrow_and_update();
        // Before it is ready it serves nobody, and has nothing in memory that could be old.
        if directory.is_ready()
            && let Err(error) = directory.store().report_node(node, position).await
        {
            tracing::debug!(%error, "the store cannot be told how far this node is");
        }
        sleep(LEAST).await;
        tokio::select! {
            _ = applied.changed() => {}
            () = sleep(EVERY) => {}
        }
    }
}
