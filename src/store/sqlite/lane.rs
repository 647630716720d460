//! Threads that own connections and do one call after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::store::StoreError;

/// Calls that may wait; one more is refused.
const WAITING: usize = 256;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A queue of calls in front of one or more connections, each on its thread.
pub(super) struct Lane {
    /// `None` only while dropping.
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Lane {
    pub(super) fn start(name: &str, connections: Vec<Connection>) -> Result<Self, StoreError> {
        let (jobs, queue) = sync_channel(WAITING);
        let queue = Arc::new(Mutex::new(queue));
        let mut lane = Self { jobs: Some(jobs), threads: Vec::new() };
        for connection in connections {
            let queue = Arc::clone(&queue);
            let thread = std::thread::Builder::new()
                .name(name.into())
                .spawn(move || work_off(&queue, connection))
                .map_err(|error| StoreError::Unavailable(format!("no thread: {error}")))?;
            lane.threads.push(thread);
        }
        Ok(lane)
    }

    /// Does `work` on one of the connections, within `patience`.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            // A call whose caller gave up in the queue must not happen later.
            if !reply.is_closed() {
                let _ = reply.send(work(db));
            }
        });
        let sent = self.jobs.as_ref().map(|jobs| jobs.try_send(job));
        if !matches!(sent, Some(Ok(()))) {
            return Err(StoreError::Unavailable("too many calls are waiting".into()));
        }
        match timeout(patience, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::Unavailable("the call failed inside".into())),
            Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
        }
    }
}

/// Once a lane is gone, so are its connections: the file can be opened by somebody else.
impl Drop for Lane {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work_off(queue: &Mutex<Receiver<Job>>, mut db: Connection) {
    loop {
        let job = queue.lock().recv();
        let Ok(job) = job else { return };
        // A panic fails its own call alone: dropping the transaction rolled it back.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut db)));
    }
}
