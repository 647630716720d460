//! From closed segments to the store, oldest first. A segment is a batch: it keeps its id through
//! every attempt and every restart, the store counts it once, and only then is its file removed.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use uuid::{Builder, Uuid};

use super::segment::{self, Contents, Unreadable};
use super::spool::{Segment, Spool};
use crate::metrics::Metrics;
use crate::store::{Store, StoreError, UsageBatch, UsageRecord};

/// Between attempts at a batch: doubled up to the longest, and spread.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(2);

/// Attempts at a batch while the store says that it does not fit (about half a minute). That is
/// mostly another store in its place for a while; after this it is taken for a refusal.
const INCOMPATIBLE_ATTEMPTS: u32 = 20;

/// Attempts at a segment that is there and cannot be read.
const READ_ATTEMPTS: u32 = 10;

pub(super) struct Shipper {
    store: Arc<dyn Store>,
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    current: Option<Current>,
}

/// The segment that is being shipped.
struct Current {
    segment: Segment,
    /// The batch, or the parts of one that was refused, which have had the patience that the
    /// whole had.
    batches: VecDeque<Arc<UsageBatch>>,
    are_parts: bool,
    /// Attempts at the first of them.
    attempts: u32,
}

impl Shipper {
    pub(super) fn new(store: Arc<dyn Store>, spool: Arc<Spool>, metrics: Arc<Metrics>) -> Self {
        Self { store, spool, metrics, current: None }
    }

    /// Ships one segment after the other, for ever. It may be broken off anywhere: a batch that
    /// may or may not have been recorded is tried again, and counts once.
    pub(super) async fn run(&mut self) {
        loop {
            if self.current.is_none() {
                let segment = self.spool.next().await;
                self.open(segment).await;
            }
            self.ship().await;
        }
    }

    /// Ships until nothing is left.
    pub(super) async fn drain(&mut self) {
        loop {
            if self.current.is_none() {
                let Some(segment) = self.spool.try_next() else { return };
                self.open(segment).await;
            }
            self.ship().await;
        }
    }

    async fn open(&mut self, segment: Segment) {
        let contents = match self.read(segment).await {
            Ok(bytes) => segment::read(&bytes),
            Err(error) => return self.give_up(segment, &error.to_string()),
        };
        match contents {
            Ok(contents) => self.take(segment, contents),
            // A process that ended between making a file and its first record.
            Err(Unreadable::Empty) if segment.records.is_none() => self.spool.done(segment),
            Err(newer @ Unreadable::Version(_)) => {
                tracing::error!(%newer, "a usage segment is left for a newer gatepost");
                self.spool.forget(segment);
            }
            Err(damaged) => {
                self.give_up(segment, &damaged.to_string());
                self.spool.done(segment);
            }
        }
    }

    /// Tried again for a while, unless there is nothing to read: a process that has too many files
    /// open cannot read, and has lost nothing.
    async fn read(&self, segment: Segment) -> io::Result<Vec<u8>> {
        let mut attempts = 1;
        loop {
            let spool = Arc::clone(&self.spool);
            let read = spawn_blocking(move || spool.read(segment)).await;
            match read.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
                Err(error) if !is_gone(&error) && attempts < READ_ATTEMPTS => {
                    sleep(pause(attempts)).await;
                    attempts += 1;
                }
                read => return read,
            }
        }
    }

    /// Nothing of it can be used.
    fn give_up(&mut self, segment: Segment, cause: &str) {
        let lost = segment.records.unwrap_or_default();
        tracing::error!(cause, lost, "a usage segment cannot be read: its records are lost");
        self.metrics.usage.damaged.inc();
        self.metrics.usage.dropped_damaged.inc_by(lost.into());
        self.spool.forget(segment);
    }

    fn take(&mut self, segment: Segment, contents: Contents) {
        let Contents { id, records, damage } = contents;
        let missing = |written: u32| written.saturating_sub(records.len() as u32);
        let lost = segment.records.map_or(damage.records, missing);
        if damage.places > 0 || lost > 0 {
            let places = damage.places.max(1);
            tracing::error!(places, lost, kept = records.len(), "a usage segment is damaged");
            self.metrics.usage.damaged.inc_by(places.into());
            self.metrics.usage.dropped_damaged.inc_by(lost.into());
        }
        let batches = [Arc::new(UsageBatch { id, records })].into();
        self.current = Some(Current { segment, batches, are_parts: false, attempts: 0 });
    }

    /// One attempt at what is next, or the pause after one.
    async fn ship(&mut self) {
        let Some(current) = &mut self.current else { return };
        let Some(batch) = current.batches.front().cloned() else {
            let (spool, segment) = (Arc::clone(&self.spool), current.segment);
            self.current = None;
            spool.done(segment);
            return;
        };
        current.attempts += 1;
        let attempts = current.attempts;
        let written = attempt(Arc::clone(&self.store), Arc::clone(&batch), &self.metrics).await;
        match written {
            Ok(()) => {
                self.metrics.usage.records.inc_by(batch.records.len() as u64);
                current.next();
            }
            Err(error) if current.is_worth_retrying(&error) => {
                if attempts == 1 {
                    tracing::warn!(%error, records = batch.records.len(), "usage records wait");
                }
                sleep(pause(attempts)).await;
            }
            Err(error) => {
                let dropped = current.split(&batch, &error);
                self.metrics.usage.dropped_refused.inc_by(dropped);
            }
        }
    }
}

/// In a task of its own: a panic under it must not end the recording of usage.
async fn attempt(
    store: Arc<dyn Store>,
    batch: Arc<UsageBatch>,
    metrics: &Metrics,
) -> Result<(), StoreError> {
    if batch.records.is_empty() {
        return Ok(());
    }
    let timer = metrics.store.record_usage.start_timer();
    let writing = tokio::spawn(async move {
        let _timer = timer;
        store.record_usage(&batch).await
    });
    writing.await.unwrap_or_else(|panic| Err(StoreError::Incompatible(panic.to_string())))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn pause(attempts: u32) -> Duration {
    let doubled = SHORTEST_RETRY * 2_u32.pow(attempts.saturating_sub(1).min(8));
    doubled.min(LONGEST_RETRY).mul_f64(0.5 + fastrand::f64() / 2.0)
}

impl Current {
    fn next(&mut self) {
        self.batches.pop_front();
        self.attempts = 0;
    }

    fn is_worth_retrying(&self, error: &StoreError) -> bool {
        match error {
            StoreError::Unavailable(_) => true,
            StoreError::Incompatible(_) => !self.are_parts && self.attempts < INCOMPATIBLE_ATTEMPTS,
            _ => false,
        }
    }

    /// A record that the store will never take must not hold up the others: its batch is halved
    /// until it is alone, and dropped. Answers how many are.
    fn split(&mut self, refused: &UsageBatch, error: &StoreError) -> u64 {
        let records = &refused.records;
        if !self.are_parts {
            let records = records.len();
            tracing::error!(%error, records, "usage records are refused; those at fault are dropped");
        }
        self.are_parts = true;
        self.next();
        if records.len() <= 1 {
            return records.len() as u64;
        }
        let (first, second) = records.split_at(records.len() / 2);
        self.batches.push_front(part(refused.id, 1, second));
        self.batches.push_front(part(refused.id, 0, first));
        0
    }
}

/// A half has an id that follows from the whole's, so that it is the same after a restart.
fn part(whole: Uuid, half: u8, records: &[UsageRecord]) -> Arc<UsageBatch> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(whole.as_bytes()).update(&[half]);
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    let id = Builder::from_custom_bytes(bytes).into_uuid();
    Arc::new(UsageBatch { id, records: records.to_vec() })
}
