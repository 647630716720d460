use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Queue;
use super::appender::Appender;
use super::keeper::Keeper;
use super::shipper::Shipper;
use super::spool::Spool;

/// Everything behind the queue: a thread that appends to the spool, a task that ships from it to
/// the store, and one that forgets what is too old.
pub struct Worker {
    pub(super) spool: Arc<Spool>,
    pub(super) queue: Arc<Queue>,
    pub(super) shipper: Shipper,
    pub(super) keeper: Keeper,
}

impl Worker {
    /// Works until `stop` resolves. Then what is queued goes to the spool, and the spool to the
    /// store, for at most `patience`; what is left is shipped at the next start.
    ///
    /// Answers whether the spool is empty.
    pub async fn run(self, stop: impl Future<Output = ()> + Send, patience: Duration) -> bool {
        let Self { spool, queue, mut shipper, keeper } = self;
        let is_over = Arc::new(AtomicBool::new(false));
        let appender = Appender::new(Arc::clone(&spool), queue);
        let until = Arc::clone(&is_over);
        let appending = spawn_blocking(move || appender.run(&until));
        let keeping = tokio::spawn(keeper.run());
        {
            let mut stop = pin!(stop);
            tokio::select! {
                () = &mut stop => {}
                () = shipper.run() => {}
            }
        }
        is_over.store(true, Ordering::Release);
        if let Err(panic) = appending.await {
            tracing::error!(%panic, "the usage spool's thread ended");
        }
        keeping.abort();
        let _ = timeout(patience, shipper.drain()).await;
        !spool.is_waiting()
    }
}
