//! From the queue to the segment file, on a thread of its own: a disk that is slow delays nothing
//! but this.

use std::fs::File;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use super::Queue;
use super::condition::Trouble;
use super::segment::{self, Frame};
use super::spool::Spool;

/// Between looks at the queue. With what a write takes, it is what SIGKILL can cost: 10 ms.
const TICK: Duration = Duration::from_millis(4);

/// Between calls for the disk. With what one takes, it is what a power cut can cost: 200 ms.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// A segment with so many records is closed: it is a batch.
const MAX_RECORDS: u32 = 5_000;

/// A segment is closed after this time unless others wait for the store anyway.
const CLOSE_AFTER: Duration = Duration::from_millis(250);

/// Nothing was refused for so long: a disk on the edge takes some and refuses some.
const CALM: Duration = Duration::from_secs(1);

pub(super) struct Appender {
    spool: Arc<Spool>,
    queue: Arc<Queue>,
    open: Option<Open>,
    frame: Frame,
    dirty: Arc<Dirty>,
    refused: Option<Refused>,
}

/// What could not be written.
struct Refused {
    at: Instant,
    /// Something could since.
    is_over: bool,
}

/// The segment that is appended to.
struct Open {
    number: u64,
    id: Uuid,
    file: Arc<File>,
    since: Instant,
    records: u32,
    bytes: u64,
}

impl Appender {
    pub(super) fn new(spool: Arc<Spool>, queue: Arc<Queue>) -> Self {
        let dirty = Arc::new(Dirty::new(Arc::clone(&spool)));
        Self { spool, queue, open: None, frame: Frame::new(), dirty, refused: None }
    }

    /// Appends until `stop`, then what is left in the queue.
    pub(super) fn run(mut self, stop: &AtomicBool) {
        let dirty = Arc::clone(&self.dirty);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| dirty.sync_until(&is_over));
            while !stop.load(Ordering::Acquire) {
                self.drain();
                self.calm_down();
                self.close_if_due();
                thread::sleep(TICK);
            }
            self.queue.is_closed.store(true, Ordering::Release);
            self.drain();
            self.close();
            is_over.store(true, Ordering::Release);
        });
        let lost = std::iter::from_fn(|| self.queue.ring.pop()).count();
        self.queue.metrics.usage.dropped_shutdown.inc_by(lost as u64);
    }

    /// What is in the queue now; what comes meanwhile is for the next look, so that this ends.
    fn drain(&mut self) {
        let mut left = self.queue.ring.len();
        self.queue.metrics.usage.waiting.set(left.try_into().unwrap_or(i64::MAX));
        while left > 0 {
            let Some(record) = self.queue.ring.pop() else { break };
            self.frame.push(&record);
            left -= 1;
            if self.frame.is_full() || self.frame.count() >= MAX_RECORDS {
                self.append();
            }
        }
        self.append();
    }

    fn append(&mut self) {
        if self.frame.count() == 0 {
            return;
        }
        let mut written = self.write();
        // The disk is smaller than the spool may be: the oldest make room here too.
        while written.as_ref().is_err_and(is_for_want_of_room) && self.spool.drop_oldest() {
            written = self.write();
        }
        if written.is_err() {
            let lost = u64::from(self.frame.count());
            self.queue.metrics.usage.dropped_spool_failed.inc_by(lost);
        }
        self.tell(written.err());
        self.frame.clear();
    }

    fn write(&mut self) -> io::Result<()> {
        if self.dirty.has_failed.swap(false, Ordering::Relaxed) {
            // What a failed sync leaves of a file nobody knows: it is not appended to any more.
            self.close();
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        let bytes = self.frame.seal(open.id, open.records);
        if let Err(cause) = self.spool.disk.append(&open.file, bytes) {
            match open.file.set_len(open.bytes) {
                Ok(()) => self.open = Some(open),
                // Its end is torn, which its reader cuts.
                Err(_) => self.spool.close(open.number, open.records),
            }
            return Err(cause);
        }
        open.bytes += bytes.len() as u64;
        open.records += self.frame.count();
        self.dirty.add(&open.file);
        self.spool.grown(open.bytes);
        let is_full = open.records >= MAX_RECORDS || open.bytes >= self.spool.segment_max();
        self.open = Some(open);
        if is_full {
            self.close();
        }
        Ok(())
    }

    fn create(&self) -> io::Result<Open> {
        let (number, file) = self.spool.create()?;
        let id = Uuid::now_v7();
        let header = segment::header(id);
        let written = self.spool.disk.append(&file, &header);
        written.inspect_err(|_| self.spool.discard(number))?;
        let (file, since) = (Arc::new(file), Instant::now());
        Ok(Open { number, id, file, since, records: 0, bytes: header.len() as u64 })
    }

    fn close_if_due(&mut self) {
        let is_due = |open: &Open| open.since.elapsed() >= CLOSE_AFTER;
        if self.open.as_ref().is_some_and(is_due) && !self.spool.is_waiting() {
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.spool.close(open.number, open.records);
        }
    }

    fn tell(&mut self, error: Option<io::Error>) {
        let Some(cause) = error else {
            self.refused.iter_mut().for_each(|refused| refused.is_over = true);
            return;
        };
        self.refused = Some(Refused { at: Instant::now(), is_over: false });
        if self.spool.condition.note(Trouble::Write, true) {
            tracing::error!(%cause, "usage records cannot be written to the spool: they are dropped");
        }
    }

    fn calm_down(&mut self) {
        let is_calm = |refused: &mut Refused| refused.is_over && refused.at.elapsed() >= CALM;
        if self.refused.take_if(is_calm).is_some()
            && self.spool.condition.note(Trouble::Write, false)
        {
            tracing::info!("usage records are written to the spool again");
        }
    }
}

fn is_for_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Files that the disk does not have yet.
struct Dirty {
    files: Mutex<Vec<Arc<File>>>,
    has_failed: AtomicBool,
    spool: Arc<Spool>,
}

impl Dirty {
    fn new(spool: Arc<Spool>) -> Self {
        Self { files: Mutex::default(), has_failed: AtomicBool::new(false), spool }
    }

    fn add(&self, file: &Arc<File>) {
        let mut files = self.files.lock();
        if !files.last().is_some_and(|last| Arc::ptr_eq(last, file)) {
            files.push(Arc::clone(file));
        }
    }

    fn sync_until(&self, is_over: &AtomicBool) {
        loop {
            // Asked first, so that the last round comes after the last record.
            let is_last = is_over.load(Ordering::Acquire);
            self.sync();
            if is_last {
                return;
            }
            thread::sleep(SYNC_EVERY);
        }
    }

    fn sync(&self) {
        let files = mem::take(&mut *self.files.lock());
        if files.is_empty() {
            return;
        }
        let synced = self.spool.sync(&files);
        let is_news = self.spool.condition.note(Trouble::Sync, synced.is_err());
        match synced {
            Ok(()) if is_news => tracing::info!("usage segments are synced again"),
            Ok(()) => {}
            Err(cause) => {
                self.has_failed.store(true, Ordering::Relaxed);
                if is_news {
                    tracing::error!(%cause, "usage segments cannot be synced: a power cut would take them");
                }
            }
        }
    }
}
