//! One record per request: handed over without waiting, written in bulk, counted once.
//!
//! Doors push into a bounded ring. There is one path from there, whether the store is well or
//! not: a thread looks at the ring every few milliseconds, so that handing over wakes nobody, and
//! appends to a segment file, which outlives the process; a task brings closed segments into the
//! store. A segment is a batch that keeps its id through every attempt, and the store counts it
//! once.

mod appender;
mod codec;
mod condition;
mod disk;
mod keeper;
pub mod segment;
mod shipper;
mod spool;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::ArrayQueue;

use crate::config::UsageSettings;
use crate::metrics::Metrics;
use crate::store::{Store, UsageRecord};

use condition::Condition;
use disk::{Disk, RealDisk};
use keeper::Keeper;
use shipper::Shipper;
use spool::Spool;
pub use spool::SpoolError;
pub use worker::Worker;

/// The doors' end of the queue.
#[derive(Clone)]
pub struct Recorder {
    queue: Arc<Queue>,
    condition: Arc<Condition>,
}

/// What waits for the spool. Its memory is taken at the start: a disk that is slow cannot make it
/// grow.
struct Queue {
    ring: ArrayQueue<UsageRecord>,
    /// The worker has stopped: nothing would be written any more.
    is_closed: AtomicBool,
    metrics: Arc<Metrics>,
}

/// Makes the two ends. Every process needs a spool of its own.
///
/// # Errors
/// The spool's directory cannot be used, or another process uses it.
pub fn pipeline(
    store: Arc<dyn Store>,
    settings: &UsageSettings,
    metrics: Arc<Metrics>,
) -> Result<(Recorder, Worker), SpoolError> {
    pipeline_on(Arc::new(RealDisk), store, settings, metrics)
}

fn pipeline_on(
    disk: Arc<dyn Disk>,
    store: Arc<dyn Store>,
    settings: &UsageSettings,
    metrics: Arc<Metrics>,
) -> Result<(Recorder, Worker), SpoolError> {
    let spool = Spool::open(&settings.spool, settings.spool_max, disk, Arc::clone(&metrics))?;
    let condition = Arc::clone(&spool.condition);
    let spool = Arc::new(spool);
    let queue = Arc::new(Queue {
        ring: ArrayQueue::new(settings.queue.max(1)),
        is_closed: AtomicBool::new(false),
        metrics: Arc::clone(&metrics),
    });
    let worker = Worker {
        shipper: Shipper::new(Arc::clone(&store), Arc::clone(&spool), metrics),
        keeper: Keeper::new(store, settings),
        queue: Arc::clone(&queue),
        spool,
    };
    Ok((Recorder { queue, condition }, worker))
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

    /// Whether no record is lost, nor would be by a power cut.
    pub fn is_well(&self) -> bool {
        self.condition.is_good() && !self.queue.ring.is_full()
    }

    /// Records waiting for the spool.
    pub fn waiting(&self) -> usize {
        self.queue.ring.len()
    }
}
