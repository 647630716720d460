//! One record per request: handed over without waiting, written in bulk.

use std::sync::Arc;
use std::time::Duration;

use crate::config::UsageSettings;
use crate::metrics::Metrics;
use crate::store::{Store, UsageRecord};

/// The doors' end of the queue.
#[derive(Clone)]
pub struct Recorder {}

/// The store's end of the queue.
pub struct Worker {}

/// Makes the two ends.
pub fn pipeline(
    store: Arc<dyn Store>,
    settings: &UsageSettings,
    metrics: Arc<Metrics>,
) -> (Recorder, Worker) {
    let _ = (store, settings, metrics);
    todo!()
}

impl Recorder {
    /// Hands a record over. Never waits; a record that finds the queue full is dropped and counted.
    pub fn record(&self, record: UsageRecord) {
        let _ = record;
        todo!()
    }

    /// Records waiting to be written.
    pub fn waiting(&self) -> usize {
        todo!()
    }
}

impl Worker {
    /// Writes batches until `stop` resolves, then what is left, for at most `patience`.
    /// Returns the number of records that could not be written.
    pub async fn run(self, stop: impl Future<Output = ()> + Send, patience: Duration) -> usize {
        let _ = (stop, patience);
        todo!()
    }
}
