use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout_at};
use uuid::Uuid;

use super::Queue;
use crate::store::{Store, StoreError, UsageBatch};

/// The largest batch, written as soon as it is full.
const BATCH: usize = 5_000;

/// The longest that a record waits for a batch to fill.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// Between looks at the queue.
const TICK: Duration = Duration::from_millis(10);

/// Between attempts at a batch: doubled up to the longest, and spread.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// Attempts at a batch while the store says that it does not fit (about half a minute). That is
/// mostly another store in its place for a while; after this it is taken for a refusal.
const INCOMPATIBLE_ATTEMPTS: u32 = 20;

/// The store's end of the queue.
pub struct Worker {
    store: Arc<dyn Store>,
    queue: Arc<Queue>,
    /// Batches taken from the queue and not written yet, the next one first. Always one batch, or
    /// the parts of one that was refused.
    batches: VecDeque<Arc<UsageBatch>>,
    /// Whether they are such parts, which have had the patience that the whole had.
    are_parts: bool,
    /// The attempt at the first of them that is under way, in a task of its own: a panic under it
    /// must not end the recording of usage, nor a stop break it off.
    writing: Option<JoinHandle<Result<(), StoreError>>>,
    /// Attempts at the first of them.
    attempts: u32,
    flushed_at: Instant,
}

impl Worker {
    pub(super) fn new(store: Arc<dyn Store>, queue: Arc<Queue>) -> Self {
        Self {
            store,
            queue,
            batches: VecDeque::new(),
            are_parts: false,
            writing: None,
            attempts: 0,
            flushed_at: Instant::now(),
        }
    }

    /// Writes batches until `stop` resolves, then what is left, for at most `patience`.
    /// Returns the number of records that could not be written.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send, patience: Duration) -> usize {
        let mut stop = pin!(stop);
        loop {
            // A step that is broken off leaves its batch, and the attempt at it, to the next one.
            tokio::select! {
                () = &mut stop => break,
                () = self.step() => {}
            }
        }
        let deadline = tokio::time::Instant::now() + patience;
        let _ = timeout_at(deadline, self.write_out()).await;
        self.close()
    }

    async fn step(&mut self) {
        self.queue.metrics.usage.waiting.set(signed(self.queue.waiting()));
        let is_due = self.queue.ring.len() >= BATCH || self.flushed_at.elapsed() >= FLUSH_EVERY;
        if is_due {
            self.take_batch();
            self.flushed_at = Instant::now();
        }
        match self.batches.is_empty() {
            true => sleep(TICK).await,
            false => self.write_next().await,
        }
    }

    /// Until nothing is left.
    async fn write_out(&mut self) {
        loop {
            self.take_batch();
            if self.batches.is_empty() {
                return;
            }
            self.write_next().await;
        }
    }

    /// Takes the next batch from the queue, unless there is one that is not written yet: what
    /// comes in the meantime stays in the queue, whose bound is the bound of the whole.
    fn take_batch(&mut self) {
        if !self.batches.is_empty() || self.queue.ring.is_empty() {
            return;
        }
        let records: Vec<_> = std::iter::from_fn(|| self.queue.ring.pop()).take(BATCH).collect();
        self.batches.push_back(batch(records));
        self.are_parts = false;
        self.count_in_hand();
    }

    async fn write_next(&mut self) {
        let Some(batch) = self.batches.front().cloned() else { return };
        match self.attempt(&batch).await {
            Ok(()) => {
                self.queue.metrics.usage.records.inc_by(batch.records.len() as u64);
                self.done_with_first();
            }
            Err(error) if self.is_worth_retrying(&error) => {
                if self.attempts == 1 {
                    tracing::warn!(%error, records = batch.records.len(), "usage records wait");
                }
                sleep(self.pause()).await;
            }
            Err(error) => self.split(&batch, &error),
        }
    }

    async fn attempt(&mut self, batch: &Arc<UsageBatch>) -> Result<(), StoreError> {
        let writing = self.writing.get_or_insert_with(|| {
            self.attempts += 1;
            let (store, batch) = (Arc::clone(&self.store), Arc::clone(batch));
            let timer = self.queue.metrics.store.record_usage.start_timer();
            tokio::spawn(async move {
                let _timer = timer;
                store.record_usage(&batch).await
            })
        });
        let written = writing.await;
        self.writing = None;
        written.unwrap_or_else(|panic| Err(StoreError::Incompatible(panic.to_string())))
    }

    fn is_worth_retrying(&self, error: &StoreError) -> bool {
        match error {
            StoreError::Unavailable(_) => true,
            StoreError::Incompatible(_) => !self.are_parts && self.attempts < INCOMPATIBLE_ATTEMPTS,
            _ => false,
        }
    }

    fn pause(&self) -> Duration {
        let doubled = SHORTEST_RETRY * 2_u32.pow(self.attempts.saturating_sub(1).min(8));
        doubled.min(LONGEST_RETRY).mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// A record that the store will never take must not hold up the others: its batch is halved
    /// until it is alone, and dropped. What is refused was not written, so the halves have ids of
    /// their own.
    fn split(&mut self, refused: &UsageBatch, error: &StoreError) {
        let records = &refused.records;
        if !self.are_parts {
            let records = records.len();
            tracing::error!(%error, records, "usage records are refused; those at fault are dropped");
        }
        self.are_parts = true;
        self.done_with_first();
        if records.len() <= 1 {
            self.queue.metrics.usage.dropped_refused.inc_by(records.len() as u64);
            return;
        }
        let (first, second) = records.split_at(records.len() / 2);
        self.batches.push_front(batch(second.to_vec()));
        self.batches.push_front(batch(first.to_vec()));
        self.count_in_hand();
    }

    fn done_with_first(&mut self) {
        self.batches.pop_front();
        self.attempts = 0;
        self.count_in_hand();
    }

    fn count_in_hand(&self) {
        let records = self.batches.iter().map(|batch| batch.records.len()).sum();
        self.queue.in_batch.store(records, Ordering::Relaxed);
    }

    /// Counts what is left as lost, and whatever comes later too.
    fn close(self) -> usize {
        self.queue.is_closed.store(true, Ordering::Relaxed);
        let in_hand: usize = self.batches.iter().map(|batch| batch.records.len()).sum();
        let lost = in_hand + std::iter::from_fn(|| self.queue.ring.pop()).count();
        self.queue.in_batch.store(0, Ordering::Relaxed);
        self.queue.metrics.usage.waiting.set(0);
        if lost > 0 {
            tracing::error!(records = lost, "usage records were not written before the stop");
            self.queue.metrics.usage.dropped_shutdown.inc_by(lost as u64);
        }
        lost
    }
}

fn batch(records: Vec<crate::store::UsageRecord>) -> Arc<UsageBatch> {
    Arc::new(UsageBatch { id: Uuid::now_v7(), records })
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
