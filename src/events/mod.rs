//! What an operator should know: handed over without waiting, told once.
//!
//! From the queue an event goes to the log and the metrics, then to the store, which keeps it once
//! over all nodes, and from there to the webhooks. With the store away the webhooks are told all
//! the same: an alarm does not wait for a database.

mod post;
mod sign;
mod webhook;
mod worker;

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::config::Webhook;
use crate::lockout::{Finding, SecurityEvent};
use crate::metrics::Metrics;
use crate::store::Store;

pub use worker::Worker;

/// Events that may wait for the worker.
const QUEUE: usize = 1_024;

/// Fingerprints that are remembered, so that a flood of one thing is one event.
const REMEMBERED: usize = 4_096;

/// The end of the queue that findings go in by.
pub struct Events {
    node: Box<str>,
    queue: mpsc::Sender<SecurityEvent>,
    recent: Mutex<VecDeque<u64>>,
    metrics: Arc<Metrics>,
}

/// Makes the two ends. Must be called on the runtime that does the store's work.
pub fn pipeline(
    store: Arc<dyn Store>,
    webhooks: Vec<Webhook>,
    node: &str,
    metrics: Arc<Metrics>,
) -> (Events, Worker) {
    let (queue, waiting) = mpsc::channel(QUEUE);
    let events = Events {
        node: node.into(),
        queue,
        recent: Mutex::default(),
        metrics: Arc::clone(&metrics),
    };
    (events, Worker::new(store, waiting, webhooks, metrics))
}

impl Events {
    /// Never waits. What was found a moment before is counted and no more.
    pub fn emit(&self, finding: Finding, at: Timestamp) {
        if !self.is_new(&finding, at) {
            self.metrics.security.repeated.inc();
            return;
        }
        self.metrics.security.event(finding.kind);
        let event = SecurityEvent { id: Uuid::now_v7(), at, node: self.node.clone(), finding };
        log(&event);
        if self.queue.try_send(event).is_err() {
            self.metrics.security.dropped.inc();
        }
    }

    fn is_new(&self, finding: &Finding, at: Timestamp) -> bool {
        // Sixty-four bits of a hash: two things that share one are a matter of the age of the sun.
        let hash = blake3::hash(finding.fingerprint(at).as_bytes());
        let (head, _) = hash.as_bytes().split_at(8);
        let number = head.iter().fold(0_u64, |n, &byte| n << 8 | u64::from(byte));
        let mut recent = self.recent.lock();
        if recent.contains(&number) {
            return false;
        }
        if recent.len() >= REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(number);
        true
    }
}

fn log(event: &SecurityEvent) {
    let finding = &event.finding;
    tracing::warn!(
        target: "gatepost::security",
        id = %event.id,
        kind = finding.kind.code(),
        user_id = finding.user_id.map(|id| id.to_string()),
        key_id = finding.key_id.map(|id| id.to_string()),
        source = finding.source.map(|source| source.to_string()),
        evidence = %serde_json::Value::Object(finding.evidence.clone()),
        "{}", finding.kind.summary()
    );
}
