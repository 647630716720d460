use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::webhook::Receiver;
use crate::config::Webhook;
use crate::lockout::SecurityEvent;
use crate::metrics::Metrics;
use crate::store::Store;

/// Events that are kept together.
const BATCH: usize = 64;

/// Events that wait for a store that is away; the oldest go first.
const UNKEPT: usize = 1_024;

/// Between attempts to keep them.
const RETRY: Duration = Duration::from_secs(1);

/// The queue's other end.
pub struct Worker {
    store: Arc<dyn Store>,
    waiting: mpsc::Receiver<SecurityEvent>,
    receivers: Vec<Receiver>,
    metrics: Arc<Metrics>,
    unkept: Vec<SecurityEvent>,
    /// Of those, the ones that the webhooks have been told of already.
    told: HashSet<Uuid>,
}

impl Worker {
    pub(super) fn new(
        store: Arc<dyn Store>,
        waiting: mpsc::Receiver<SecurityEvent>,
        webhooks: Vec<Webhook>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let start = |hook| Receiver::start(hook, Arc::clone(&metrics));
        let receivers = webhooks.into_iter().map(start).collect();
        Self { store, waiting, receivers, metrics, unkept: Vec::new(), told: HashSet::new() }
    }

    /// Until the other end is gone and everything is kept, or the store does not take it.
    pub async fn run(mut self) {
        loop {
            let has_some = self.gather().await;
            if self.unkept.is_empty() {
                if has_some { continue } else { return }
            }
            if !self.keep().await && !has_some {
                return;
            }
        }
    }

    /// Waits for events, a moment at most while some are unkept. False when none will come.
    async fn gather(&mut self) -> bool {
        let mut batch = Vec::with_capacity(BATCH);
        let coming = self.waiting.recv_many(&mut batch, BATCH);
        let count = match self.unkept.is_empty() {
            true => coming.await,
            false => timeout(RETRY, coming).await.unwrap_or(1),
        };
        self.unkept.append(&mut batch);
        if self.unkept.len() > UNKEPT {
            let surplus = self.unkept.len() - UNKEPT;
            self.unkept.drain(..surplus);
            self.metrics.security.dropped.inc_by(surplus as u64);
        }
        count > 0
    }

    async fn keep(&mut self) -> bool {
        let timer = self.metrics.store.record_events.start_timer();
        let kept = self.store.record_events(&self.unkept).await;
        timer.observe_duration();
        match kept {
            Ok(new) => {
                // Another node may have been first: then it tells.
                for event in self.unkept.drain(..).filter(|event| new.contains(&event.id)) {
                    if !self.told.remove(&event.id) {
                        self.receivers.iter().for_each(|receiver| receiver.tell(&event));
                    }
                }
                self.told.clear();
                true
            }
            Err(error) => {
                tracing::warn!(%error, waiting = self.unkept.len(), "events cannot be kept yet");
                for event in &self.unkept {
                    if self.told.insert(event.id) {
                        self.receivers.iter().for_each(|receiver| receiver.tell(event));
                    }
                }
                self.told.retain(|id| self.unkept.iter().any(|event| event.id == *id));
                sleep(RETRY / 4).await;
                false
            }
        }
    }
}
