use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
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
        let is_over = Over::default();
        let appender = Appender::new(Arc::clone(&spool), queue);
        let until = Arc::clone(&is_over.0);
        let appending = spawn_blocking(move || appender.run(&until));
        let mut keeping = JoinSet::new();
        keeping.spawn(keeper.run());
        {
            let mut stop = pin!(stop);
            tokio::select! {
                () = &mut stop => {}
                () = shipper.run() => {}
            }
        }
        drop(is_over);
        if let Err(panic) = appending.await {
            tracing::error!(%panic, "the usage spool's thread ended");
        }
        drop(keeping);
        let _ = timeout(patience, shipper.drain()).await;
        !spool.is_waiting()
    }
}

/// Tells the thread to end, also when the future that would is dropped.
#[derive(Default)]
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
