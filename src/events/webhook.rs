use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::post::{PostError, post};
use super::sign::sign;
use crate::clock;
use crate::config::Webhook;
use crate::lockout::SecurityEvent;
use crate::metrics::Metrics;

/// Messages that may wait for one receiver.
const WAITING: usize = 256;

/// Attempts at one message, and the pauses between them: doubled, and spread. Five minutes or so.
const ATTEMPTS: u32 = 9;
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(120);

/// One receiver, with a queue of its own: one that hangs does not keep the others from knowing.
pub struct Receiver {
    hook: Arc<Webhook>,
    queue: mpsc::Sender<SecurityEvent>,
    metrics: Arc<Metrics>,
}

impl Receiver {
    pub fn start(hook: Webhook, metrics: Arc<Metrics>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let hook = Arc::new(hook);
        tokio::spawn(deliver(Arc::clone(&hook), waiting, Arc::clone(&metrics)));
        Self { hook, queue, metrics }
    }

    /// Never waits.
    pub fn tell(&self, event: &SecurityEvent) {
        let wanted = &self.hook.events;
        let is_wanted = wanted.is_empty() || wanted.contains(&event.finding.kind);
        if is_wanted && self.queue.try_send(event.clone()).is_err() {
            tracing::error!(webhook = ?self.hook.url, id = %event.id, "too many events wait for it");
            self.metrics.security.given_up.inc();
        }
    }
}

async fn deliver(
    hook: Arc<Webhook>,
    mut waiting: mpsc::Receiver<SecurityEvent>,
    metrics: Arc<Metrics>,
) {
    while let Some(event) = waiting.recv().await {
        let body = Bytes::from(message(&event).to_string());
        let mut retry = SHORTEST_RETRY;
        for attempt in 1..=ATTEMPTS {
            let result = post(&hook.url, &headers(&hook, &event, &body), body.clone()).await;
            match result {
                Ok(status) if status.is_success() => {
                    metrics.security.delivered.inc();
                    break;
                }
                result if attempt == ATTEMPTS || !is_worth_retrying(&result) => {
                    let reason = describe(&result);
                    tracing::error!(webhook = ?hook.url, id = %event.id, reason, "not told");
                    metrics.security.given_up.inc();
                    break;
                }
                result => {
                    let reason = describe(&result);
                    tracing::warn!(webhook = ?hook.url, id = %event.id, reason, "tried again later");
                    metrics.security.retried.inc();
                    sleep(retry.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    retry = LONGEST_RETRY.min(retry * 2);
                }
            }
        }
    }
}

/// A receiver that says no will say so again.
fn is_worth_retrying(result: &Result<StatusCode, PostError>) -> bool {
    match result {
        Ok(status) => {
            status.is_server_error()
                || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        }
        Err(PostError::Message(_)) => false,
        Err(_) => true,
    }
}

fn describe(result: &Result<StatusCode, PostError>) -> String {
    match result {
        Ok(status) => format!("it answered {status}"),
        Err(error) => error.to_string(),
    }
}

fn message(event: &SecurityEvent) -> serde_json::Value {
    let finding = &event.finding;
    json!({
        "id": event.id,
        "type": finding.kind.code(),
        "timestamp": event.at.to_string(),
        "data": {
            "summary": finding.kind.summary(),
            "node": event.node,
            "user_id": finding.user_id,
            "key_id": finding.key_id,
            "source": finding.source.map(|source| source.to_string()),
            "evidence": finding.evidence,
        },
    })
}

/// The id is the same at every attempt, so that a receiver can tell a second from a first.
fn headers(hook: &Webhook, event: &SecurityEvent, body: &[u8]) -> HeaderMap {
    let (id, second) = (event.id.to_string(), clock::now().as_second());
    let signature = sign(hook.secret.as_bytes(), &id, second, body);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("gatepost"));
    for (name, value) in [
        ("webhook-id", id),
        ("webhook-timestamp", second.to_string()),
        ("webhook-signature", signature),
    ] {
        // An id, a number and base64 are always header values.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}
