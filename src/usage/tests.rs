//! The pipeline in front of a scripted store.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Recorder, pipeline};
use crate::config::UsageSettings;
use crate::decision::Outcome;
use crate::directory::scripted::{Op, ScriptedStore};
use crate::metrics::Metrics;
use crate::store::UsageRecord;

const PATIENCE: Duration = Duration::from_secs(5);

struct Stand {
    store: Arc<ScriptedStore>,
    metrics: Arc<Metrics>,
    recorder: Recorder,
    stop: oneshot::Sender<()>,
    worker: JoinHandle<usize>,
}

impl Stand {
    fn with_queue(queue: usize, patience: Duration) -> Self {
        let store = ScriptedStore::new();
        let metrics = Arc::new(Metrics::new(&[]));
        let (recorder, worker) = pipeline(store.clone(), &UsageSettings { queue }, metrics.clone());
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let worker = tokio::spawn(worker.run(stopped, patience));
        Self { store, metrics, recorder, stop, worker }
    }

    fn record(&self, count: usize) -> BTreeSet<Uuid> {
        (0..count).map(|_| self.record_one(200)).collect()
    }

    fn record_one(&self, status: u16) -> Uuid {
        let request_id = Uuid::now_v7();
        self.recorder.record(record(request_id, status));
        request_id
    }

    async fn attempts(&self, count: usize) {
        let mut attempts = self.store.attempts.subscribe();
        attempts.wait_for(|made| *made >= count).await.expect("an attempt");
    }

    /// Stops the worker: what was lost, and which records the store has.
    async fn stop(self) -> (usize, Vec<Uuid>) {
        self.stop.send(()).expect("the worker runs");
        let lost = self.worker.await.expect("no panic");
        let batches = self.store.batches.lock();
        let ids = batches.values().flat_map(|batch| &batch.records).map(|r| r.request_id);
        (lost, ids.collect())
    }
}

fn record(request_id: Uuid, status: u16) -> UsageRecord {
    UsageRecord {
        at: Timestamp::UNIX_EPOCH,
        request_id,
        node: "node".into(),
        user_id: None,
        key_id: None,
        route: None,
        method: "GET".into(),
        path: "/".into(),
        status,
        outcome: Outcome::Allow,
        gateway_time_us: 20,
        upstream_time_us: None,
        request_bytes: 0,
        response_bytes: 0,
        client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

fn assert_each_once(written: Vec<Uuid>, recorded: &BTreeSet<Uuid>) {
    assert_eq!(written.len(), recorded.len());
    assert_eq!(&written.into_iter().collect::<BTreeSet<_>>(), recorded);
}

#[tokio::test]
async fn every_record_is_written_once_without_being_asked_for() {
    let stand = Stand::with_queue(100, PATIENCE);
    let recorded = stand.record(10);
    stand.attempts(1).await;
    let (lost, written) = stand.stop().await;
    assert_eq!(lost, 0);
    assert_each_once(written, &recorded);
}

#[tokio::test]
async fn a_stop_writes_what_is_left_in_as_many_batches_as_it_takes() {
    let stand = Stand::with_queue(20_000, PATIENCE);
    let recorded = stand.record(12_000);
    let (store, metrics) = (stand.store.clone(), stand.metrics.clone());
    let (lost, written) = stand.stop().await;
    assert_eq!(lost, 0);
    assert_each_once(written, &recorded);
    assert_eq!(store.batches.lock().len(), 3);
    assert_eq!(metrics.usage.records.get(), 12_000);
}

#[tokio::test]
async fn an_outage_loses_and_doubles_nothing() {
    let stand = Stand::with_queue(100, PATIENCE);
    stand.store.fail(&[Op::Usage]);
    let mut recorded = stand.record(10);
    stand.attempts(2).await;
    recorded.append(&mut stand.record(10));
    assert_eq!(stand.recorder.waiting(), 20);
    stand.store.heal();
    let (lost, written) = stand.stop().await;
    assert_eq!(lost, 0);
    assert_each_once(written, &recorded);
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_never_waits() {
    let stand = Stand::with_queue(10, PATIENCE);
    stand.store.fail(&[Op::Usage]);
    stand.record(10);
    stand.attempts(1).await; // ten are in the worker's hands
    stand.record(25);
    assert_eq!(stand.recorder.waiting(), 20);
    assert_eq!(stand.metrics.usage.dropped_full.get(), 15);
    stand.store.heal();
    let (lost, written) = stand.stop().await;
    assert_eq!((lost, written.len()), (0, 20));
}

#[tokio::test]
async fn what_patience_does_not_suffice_for_is_counted_as_lost() {
    let stand = Stand::with_queue(100, Duration::from_millis(20));
    stand.store.fail(&[Op::Usage]);
    stand.record(10);
    stand.attempts(1).await;
    stand.record(7);
    let (recorder, metrics) = (stand.recorder.clone(), stand.metrics.clone());
    let (lost, written) = stand.stop().await;
    assert_eq!((lost, written.len()), (17, 0));
    assert_eq!(metrics.usage.dropped_shutdown.get(), 17);

    recorder.record(record(Uuid::now_v7(), 200));
    assert_eq!(metrics.usage.dropped_shutdown.get(), 18, "nobody would write it any more");
    assert_eq!(recorder.waiting(), 0);
}

#[tokio::test]
async fn a_record_that_the_store_refuses_does_not_hold_up_the_others() {
    let stand = Stand::with_queue(1000, PATIENCE);
    *stand.store.refused_status.lock() = Some(999);
    let mut recorded = stand.record(300);
    stand.record_one(999);
    recorded.append(&mut stand.record(200));
    stand.record_one(999);
    let metrics = stand.metrics.clone();
    let (lost, written) = stand.stop().await;
    assert_eq!(lost, 0);
    assert_each_once(written, &recorded);
    assert_eq!(metrics.usage.dropped_refused.get(), 2);
}

#[tokio::test]
async fn a_panic_under_an_attempt_is_a_failed_attempt() {
    let stand = Stand::with_queue(100, PATIENCE);
    stand.store.panic_once(Op::Usage);
    let recorded = stand.record(10);
    stand.attempts(2).await;
    let (lost, written) = stand.stop().await;
    assert_eq!(lost, 0);
    assert_each_once(written, &recorded);
}
