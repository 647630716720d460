use std::sync::Arc;
use std::time::Duration;

use crate::store::Store;

const EVERY: Duration = Duration::from_secs(60);

/// Tells the log the head of the audit chain, now and every minute: the chain alone cannot tell
/// that its end was cut off, `gatepost audit verify --head` with a head from the log can.
pub(super) async fn log_every_minute(store: Arc<dyn Store>) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        match store.chain_head().await {
            Ok(Some(head)) => {
                tracing::info!(target: "gatepost::audit", seq = head.seq, head = %head.mac, "audit head");
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "the audit head cannot be read"),
        }
    }
}
