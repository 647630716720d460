//! The directory of segments that wait for the store: which there are, in which order they go, and
//! what is dropped when there are too many.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use tokio::sync::Notify;

use super::condition::{Condition, Trouble};
use super::disk::Disk;
use super::segment;
use crate::metrics::Metrics;

const EXTENSION: &str = "usage";

/// The largest segment, in a spool that has room for several.
const MAX_SEGMENT: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("the usage spool {path} cannot be used: {cause}", path = path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error(
        "another gatepost uses the spool {path}: give each node its own, as `[usage] spool`",
        path = path.display()
    )]
    Taken { path: PathBuf },
}

pub(super) struct Spool {
    directory: PathBuf,
    max: u64,
    state: Mutex<State>,
    changed: Notify,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) condition: Arc<Condition>,
    /// The disk may not have the names of all segments.
    has_new_names: AtomicBool,
    metrics: Arc<Metrics>,
    /// Held as long as this process may write here.
    _lock: File,
}

#[derive(Default)]
struct State {
    /// Segments that nobody appends to any more, oldest first.
    closed: VecDeque<Segment>,
    /// The shipper has the first of them: whether the store has it is not known, so it stays.
    is_shipping: bool,
    closed_bytes: u64,
    open_bytes: u64,
    /// How much there was when there was last too much.
    full_at: u64,
    next: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) number: u64,
    bytes: u64,
    /// How many were written to it; of what an earlier process left, only the file can tell.
    pub(super) records: Option<u32>,
}

impl Spool {
    /// Takes the directory, and finds what an earlier process left in it.
    pub(super) fn open(
        directory: &Path,
        max: u64,
        disk: Arc<dyn Disk>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, SpoolError> {
        let failed = |cause| SpoolError::Io { path: directory.to_owned(), cause };
        // Paths and addresses are nobody else's business.
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let lock = private(&directory.join("lock")).map_err(failed)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| SpoolError::Taken { path: directory.to_owned() })?;
        let closed = segments(directory).map_err(failed)?;
        let state = State {
            next: closed.back().map_or(1, |last| last.number + 1),
            closed_bytes: closed.iter().map(|segment| segment.bytes).sum(),
            closed,
            ..State::default()
        };
        let spool = Self {
            directory: directory.to_owned(),
            max,
            state: Mutex::new(state),
            changed: Notify::new(),
            disk,
            condition: Arc::default(),
            has_new_names: AtomicBool::new(false),
            metrics,
            _lock: lock,
        };
        spool.show(&spool.state.lock());
        Ok(spool)
    }

    pub(super) fn segment_max(&self) -> u64 {
        MAX_SEGMENT.min(self.max / 8)
    }

    // ---- the end that appends ----

    /// A new file to append to.
    pub(super) fn create(&self) -> io::Result<(u64, File)> {
        let number = self.state.lock().next;
        // Somebody may have cleared the directory away.
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let file = private(&self.path(number))?;
        self.state.lock().next += 1;
        self.has_new_names.store(true, Ordering::Release);
        Ok((number, file))
    }

    /// Returns when a power cut takes nothing away of these files.
    pub(super) fn sync(&self, files: &[Arc<File>]) -> io::Result<()> {
        // One that fails keeps none of the others from the disk.
        let synced: Vec<_> = files.iter().map(|file| self.disk.sync(file)).collect();
        if self.has_new_names.swap(false, Ordering::AcqRel) {
            self.disk.sync(&File::open(&self.directory)?)?;
        }
        synced.into_iter().collect()
    }

    /// Takes a new file back.
    pub(super) fn discard(&self, number: u64) {
        self.remove(&self.path(number));
    }

    /// The open segment has so many bytes now. Drops the oldest segments when that is too much.
    pub(super) fn grown(&self, bytes: u64) {
        let is_too_much = {
            let mut state = self.state.lock();
            state.open_bytes = bytes;
            self.show(&state);
            state.closed_bytes + state.open_bytes > self.max
        };
        if is_too_much && self.drop_oldest() {
            self.grown(bytes);
        }
    }

    /// The open segment, with so many records, is appended to no more.
    pub(super) fn close(&self, number: u64, records: u32) {
        let mut state = self.state.lock();
        let bytes = std::mem::take(&mut state.open_bytes);
        state.closed.push_back(Segment { number, bytes, records: Some(records) });
        state.closed_bytes += bytes;
        drop(state);
        self.changed.notify_one();
    }

    /// Whether segments wait for the store, so that there is no hurry to close another.
    pub(super) fn is_waiting(&self) -> bool {
        !self.state.lock().closed.is_empty()
    }

    /// Drops the oldest segment that the shipper does not have, and counts its records as lost.
    pub(super) fn drop_oldest(&self) -> bool {
        let mut state = self.state.lock();
        let at = usize::from(state.is_shipping);
        state.full_at = state.closed_bytes + state.open_bytes;
        let Some(segment) = state.closed.remove(at) else { return false };
        state.closed_bytes -= segment.bytes;
        self.show(&state);
        drop(state);
        let path = self.path(segment.number);
        let lost = segment.records.unwrap_or_else(|| records_in(&path));
        self.metrics.usage.dropped_spool_full.inc_by(lost.into());
        if self.condition.note(Trouble::Full, true) {
            tracing::error!("the usage spool is full: the oldest records are dropped");
        }
        tracing::debug!(records = lost, "usage records are dropped");
        self.remove(&path);
        true
    }

    // ---- the end that ships ----

    /// The oldest segment, when there is one; waits for it otherwise.
    pub(super) async fn next(&self) -> Segment {
        loop {
            if let Some(segment) = self.try_next() {
                return segment;
            }
            self.changed.notified().await;
        }
    }

    pub(super) fn try_next(&self) -> Option<Segment> {
        let mut state = self.state.lock();
        let first = state.closed.front().copied();
        state.is_shipping = first.is_some();
        first
    }

    pub(super) fn read(&self, segment: Segment) -> io::Result<Vec<u8>> {
        fs::read(self.path(segment.number))
    }

    /// The store has the segment that was next, or it is given up.
    pub(super) fn done(&self, segment: Segment) {
        self.remove(&self.path(segment.number));
        self.forget(segment);
    }

    /// Leaves the file that was next where it is, for another version or for a person.
    pub(super) fn forget(&self, segment: Segment) {
        let mut state = self.state.lock();
        if state.closed.front().is_some_and(|first| first.number == segment.number) {
            state.closed.pop_front();
            state.closed_bytes -= segment.bytes;
        }
        state.is_shipping = false;
        self.show(&state);
        // Not at the first that goes: a spool on the edge would change its mind all the time.
        let has_room = state.closed_bytes + state.open_bytes <= state.full_at / 2;
        drop(state);
        if has_room && self.condition.note(Trouble::Full, false) {
            tracing::info!("the usage spool has room again");
        }
    }

    fn remove(&self, path: &Path) {
        if let Err(cause) = fs::remove_file(path) {
            // Should it be found again at the next start, its batch counts once all the same.
            tracing::warn!(path = %path.display(), %cause, "a usage segment cannot be removed");
        }
    }

    fn show(&self, state: &State) {
        let bytes = state.closed_bytes + state.open_bytes;
        self.metrics.usage.spool_bytes.set(bytes.try_into().unwrap_or(i64::MAX));
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:020}.{EXTENSION}"))
    }
}

/// The segments in a directory, oldest first.
fn segments(directory: &Path) -> io::Result<VecDeque<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = Path::new(&name)
            .file_stem()
            .filter(|_| Path::new(&name).extension().is_some_and(|it| it == EXTENSION))
            .and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number {
            found.push(Segment { number, bytes: entry.metadata()?.len(), records: None });
        }
    }
    found.sort_by_key(|segment| segment.number);
    Ok(found.into())
}

/// How many records a file has, or is known to have had.
fn records_in(path: &Path) -> u32 {
    let contents = fs::read(path).ok().and_then(|bytes| segment::read(&bytes).ok());
    contents.map_or(0, |contents| {
        (contents.records.len() as u32).saturating_add(contents.damage.records)
    })
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}
