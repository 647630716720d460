//! One record per request: handed over without waiting, written in bulk.
//!
//! Doors push into a bounded ring; one worker looks at it every few milliseconds, so that handing
//! over wakes nobody, and writes what is there in batches. A batch keeps its id through every
//! attempt, and the store counts it once.

mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;

use crate::config::UsageSettings;
use crate::metrics::Metrics;
use crate::store::{Store, UsageRecord};

pub use worker::Worker;

/// The doors' end of the queue.
#[derive(Clone)]
pub struct Recorder {
    queue: Arc<Queue>,
}

/// What waits to be written. Its memory is taken at the start: an outage of the store cannot make
/// it grow.
struct Queue {
    ring: ArrayQueue<UsageRecord>,
    /// Records in the worker's hands.
    in_batch: AtomicUsize,
    /// The worker has stopped: nothing would be written any more.
    is_closed: AtomicBool,
    metrics: Arc<Metrics>,
}

/// Makes the two ends.
pub fn pipeline(
    store: Arc<dyn Store>,
    settings: &UsageSettings,
    metrics: Arc<Metrics>,
) -> (Recorder, Worker) {
    let queue = Arc::new(Queue {
        ring: ArrayQueue::new(settings.queue.max(1)),
        in_batch: AtomicUsize::new(0),
        is_closed: AtomicBool::new(false),
        metrics,
    });
    (Recorder { queue: Arc::clone(&queue) }, Worker::new(store, queue))
}

impl Recorder {
    /// Hands a record over. Never waits; a record that finds the queue full is dropped and counted.
    pub fn record(&self, record: UsageRecord) {
        let series = &self.queue.metrics.usage;
        if self.queue.is_closed.load(Ordering::Relaxed) {
            series.dropped_shutdown.inc();
        } else if self.queue.ring.push(record).is_err() {
            series.dropped_full.inc();
        }
    }

    /// Records waiting to be written.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }
}

impl Queue {
    fn waiting(&self) -> usize {
        self.ring.len() + self.in_batch.load(Ordering::Relaxed)
    }
}
