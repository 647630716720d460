use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::feed::Feed;

/// A store that wakes nobody is asked this often.
const POLL: Duration = Duration::from_secs(1);

/// After a wake-up, so that a burst of changes is read in a few pages and not one by one.
const GATHER: Duration = Duration::from_millis(5);

/// Between attempts while the store is away: doubled up to the longest, and spread, so that nodes
/// do not come back in step.
const SHORTEST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(1);

/// Follows for as long as it is polled. A fault of ours while following must not leave a node that
/// never hears of a revocation again: it is told, and following starts again.
pub(super) async fn follow(feed: Arc<Feed>) {
    loop {
        let mut follower = JoinSet::new();
        follower.spawn(follow_for_ever(Arc::clone(&feed)));
        if let Some(Err(error)) = follower.join_next().await {
            tracing::error!(%error, "following the change feed broke off; it starts again");
        }
        sleep(LONGEST_RETRY).await;
    }
}

async fn follow_for_ever(feed: Arc<Feed>) {
    let mut retry = SHORTEST_RETRY;
    loop {
        let result = feed.catch_up().await;
        feed.metrics.cache.keys.set(i64::try_from(feed.cache.len()).unwrap_or(i64::MAX));
        if result.is_ok() {
            retry = SHORTEST_RETRY;
            tokio::select! {
                () = feed.store.wait_for_change() => sleep(GATHER).await,
                () = sleep(POLL) => {}
            }
        } else {
            sleep(retry.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            retry = LONGEST_RETRY.min(retry * 2);
        }
    }
}
