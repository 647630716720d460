//! The pipeline in front of a scripted store.

mod disk;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::disk::{Disk, RealDisk};
use super::{Recorder, SpoolError, pipeline, pipeline_on};
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
    spool: TempDir,
    stop: oneshot::Sender<()>,
    worker: JoinHandle<bool>,
}

impl Stand {
    fn start() -> Self {
        let spool = tempfile::tempdir().expect("a temporary folder");
        Self::with(spool, |_| {}, PATIENCE)
    }

    fn with(spool: TempDir, adjust: impl FnOnce(&mut UsageSettings), patience: Duration) -> Self {
        let mut settings = UsageSettings::new(spool.path().to_owned());
        adjust(&mut settings);
        Self::on(Arc::new(RealDisk), ScriptedStore::new(), spool, &settings, patience)
    }

    fn on(
        disk: Arc<dyn Disk>,
        store: Arc<ScriptedStore>,
        spool: TempDir,
        settings: &UsageSettings,
        patience: Duration,
    ) -> Self {
        let metrics = Arc::new(Metrics::new(&[]));
        let (recorder, worker) =
            pipeline_on(disk, store.clone(), settings, metrics.clone()).expect("a spool");
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let worker = tokio::spawn(worker.run(stopped, patience));
        Self { store, metrics, recorder, spool, stop, worker }
    }

    fn record(&self, count: usize) -> BTreeSet<Uuid> {
        (0..count).map(|_| self.record_one(200)).collect()
    }

    fn record_one(&self, status: u16) -> Uuid {
        let request_id = Uuid::now_v7();
        self.recorder.record(record(request_id, status));
        request_id
    }

    /// Waits until `is_so`: threads of the pipeline take a moment.
    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < deadline, "it never comes true: {what}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn attempts(&self, count: usize) {
        let mut attempts = self.store.attempts.subscribe();
        attempts.wait_for(|made| *made >= count).await.expect("an attempt");
    }

    /// Stops the worker: which records the store has, and the spool, with what is left in it.
    async fn stop(self) -> (Vec<Uuid>, TempDir) {
        self.stop.send(()).expect("the worker runs");
        let is_empty = self.worker.await.expect("no panic");
        assert_eq!(is_empty, segments(&self.spool).is_empty());
        let batches = self.store.batches.lock();
        let ids = batches.values().flat_map(|batch| &batch.records).map(|r| r.request_id);
        (ids.collect(), self.spool)
    }
}

fn segments(spool: &TempDir) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(spool.path()).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut segments: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "usage")).collect();
    segments.sort();
    segments
}

fn record(request_id: Uuid, status: u16) -> UsageRecord {
    UsageRecord {
        at: Timestamp::UNIX_EPOCH,
        request_id,
        node: "node".into(),
        user_id: None,
        key_id: None,
        route: None,
        method: Method::GET,
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
    let stand = Stand::start();
    let recorded = stand.record(10);
    stand.attempts(1).await;
    let (written, spool) = stand.stop().await;
    assert_each_once(written, &recorded);
    assert!(segments(&spool).is_empty());
}

#[tokio::test]
async fn a_stop_writes_what_is_left_in_batches_of_a_bounded_size() {
    let stand = Stand::start();
    let recorded = stand.record(12_000);
    let (store, metrics) = (stand.store.clone(), stand.metrics.clone());
    let (written, _) = stand.stop().await;
    assert_each_once(written, &recorded);
    assert!(store.batches.lock().values().all(|batch| batch.records.len() < 10_000));
    assert_eq!(metrics.usage.records.get(), 12_000);
}

#[tokio::test]
async fn an_outage_loses_and_doubles_nothing() {
    let stand = Stand::start();
    stand.store.fail(&[Op::Usage]);
    let mut recorded = stand.record(10);
    stand.attempts(2).await;
    recorded.append(&mut stand.record(10));
    stand.store.heal();
    let (written, _) = stand.stop().await;
    assert_each_once(written, &recorded);
}

#[tokio::test]
async fn what_patience_does_not_suffice_for_is_written_after_the_next_start() {
    let spool = tempfile::tempdir().expect("a temporary folder");
    let stand = Stand::with(spool, |_| {}, Duration::from_millis(20));
    stand.store.fail(&[Op::Usage]);
    let mut recorded = stand.record(10);
    stand.attempts(1).await;
    recorded.append(&mut stand.record(7));
    let (recorder, metrics) = (stand.recorder.clone(), stand.metrics.clone());
    let (written, spool) = stand.stop().await;
    assert!(written.is_empty());
    assert_eq!(metrics.usage.dropped_shutdown.get(), 0);
    recorder.record(record(Uuid::now_v7(), 200));
    assert_eq!(metrics.usage.dropped_shutdown.get(), 1, "nobody would write it any more");

    let next = Stand::with(spool, |_| {}, PATIENCE);
    let (written, _) = next.stop().await;
    assert_each_once(written, &recorded);
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_and_never_waits() {
    let spool = tempfile::tempdir().expect("a temporary folder");
    let mut settings = UsageSettings::new(spool.path().to_owned());
    settings.queue = 10;
    let metrics = Arc::new(Metrics::new(&[]));
    let (recorder, _worker) =
        pipeline(ScriptedStore::new(), &settings, metrics.clone()).expect("a spool");
    for _ in 0..25 {
        recorder.record(record(Uuid::now_v7(), 200));
    }
    assert_eq!((recorder.waiting(), metrics.usage.dropped_full.get()), (10, 15));
}

#[tokio::test]
async fn a_full_spool_drops_the_oldest_and_counts_each_record() {
    let spool = tempfile::tempdir().expect("a temporary folder");
    let stand = Stand::with(spool, |settings| settings.spool_max = 1 << 20, PATIENCE);
    stand.store.fail(&[Op::Usage]);
    let mut last = Uuid::nil();
    for _ in 0..30 {
        last = *stand.record(1_000).last().expect("a record");
        stand.until("the queue is empty", |stand| stand.recorder.waiting() == 0).await;
    }
    assert!(!stand.recorder.is_well(), "records are lost");
    assert!(stand.metrics.usage.spool_bytes.get() < 2 << 20);
    let metrics = stand.metrics.clone();
    stand.store.heal();
    stand.until("there is room again", |stand| stand.recorder.is_well()).await;
    let (written, _) = stand.stop().await;
    let dropped = metrics.usage.dropped_spool_full.get();
    assert!(dropped > 0, "the spool was filled");
    assert_eq!(written.len() as u64 + dropped, 30_000);
    assert!(written.contains(&last), "the newest stay");
}

#[tokio::test]
async fn a_record_that_the_store_refuses_does_not_hold_up_the_others() {
    let stand = Stand::start();
    *stand.store.refused_status.lock() = Some(999);
    let mut recorded = stand.record(300);
    stand.record_one(999);
    recorded.append(&mut stand.record(200));
    stand.record_one(999);
    let metrics = stand.metrics.clone();
    let (written, _) = stand.stop().await;
    assert_each_once(written, &recorded);
    assert_eq!(metrics.usage.dropped_refused.get(), 2);
}

#[tokio::test]
async fn a_panic_under_an_attempt_is_a_failed_attempt() {
    let stand = Stand::start();
    stand.store.panic_once(Op::Usage);
    let recorded = stand.record(10);
    stand.attempts(2).await;
    let (written, _) = stand.stop().await;
    assert_each_once(written, &recorded);
}

#[tokio::test]
async fn two_processes_never_share_a_spool() {
    let stand = Stand::start();
    let settings = UsageSettings::new(stand.spool.path().to_owned());
    let second = pipeline(stand.store.clone(), &settings, stand.metrics.clone());
    assert!(matches!(second, Err(SpoolError::Taken { .. })));
}

#[tokio::test]
async fn a_torn_end_is_cut_and_the_rest_is_written_once() {
    let stand = Stand::with(
        tempfile::tempdir().expect("a temporary folder"),
        |_| {},
        Duration::from_millis(20),
    );
    stand.store.fail(&[Op::Usage]);
    let recorded = stand.record(10);
    stand.attempts(1).await;
    stand.record(5);
    let (_, spool) = stand.stop().await;
    let last = segments(&spool).pop().expect("a segment");
    let bytes = std::fs::read(&last).expect("it is there");
    std::fs::write(&last, &bytes[..bytes.len() - 3]).expect("it is writable");

    let next = Stand::with(spool, |_| {}, PATIENCE);
    let metrics = next.metrics.clone();
    let (written, _) = next.stop().await;
    assert_each_once(written, &recorded);
    assert_eq!(metrics.usage.damaged.get(), 1);
    assert_eq!(metrics.usage.dropped_damaged.get(), 5, "its header tells how many there were");
}

#[tokio::test]
async fn what_is_no_segment_is_skipped_and_counted() {
    let spool = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(spool.path().join(format!("{:020}.usage", 1)), [7; 4096]).expect("writable");
    let stand = Stand::with(spool, |_| {}, PATIENCE);
    let recorded = stand.record(3);
    let metrics = stand.metrics.clone();
    let (written, _) = stand.stop().await;
    assert_each_once(written, &recorded);
    assert_eq!(metrics.usage.damaged.get(), 1);
}

#[tokio::test]
async fn a_spool_that_is_cleared_away_is_made_again() {
    let stand = Stand::start();
    std::fs::remove_dir_all(stand.spool.path()).expect("removed");
    let recorded = stand.record(10);
    stand.attempts(1).await;
    let (written, _) = stand.stop().await;
    assert_each_once(written, &recorded);
}

#[tokio::test]
async fn segments_that_are_cleared_away_are_counted_to_the_record() {
    let stand = Stand::start();
    stand.store.fail(&[Op::Usage]);
    stand.record(10);
    stand.attempts(1).await;
    stand.record(5);
    stand.until("all of it is on disk", |stand| stand.recorder.waiting() == 0).await;
    std::fs::remove_dir_all(stand.spool.path()).expect("removed");
    stand.store.heal();
    let metrics = stand.metrics.clone();
    let (written, _) = stand.stop().await;
    // The first segment was in the shipper's hands.
    assert_eq!(written.len(), 10);
    assert_eq!(metrics.usage.dropped_damaged.get(), 5);
}
