//! The pipeline on a disk that is full, breaks, or loses its power.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{PATIENCE, Stand, assert_each_once, segments};
use crate::config::UsageSettings;
use crate::directory::scripted::{Op, ScriptedStore};
use crate::usage::disk::Disk;

#[derive(Default)]
struct Mishaps {
    append: Mutex<Option<ErrorKind>>,
    sync: Mutex<Option<ErrorKind>>,
    /// Bytes that all segments together may take.
    capacity: Mutex<Option<u64>>,
    is_off: AtomicBool,
    /// What is left after a power cut: what was in a file when it was last synced, if its name
    /// was too.
    platter: Mutex<BTreeMap<OsString, Vec<u8>>>,
    names: Mutex<BTreeSet<OsString>>,
}

impl Mishaps {
    fn room(&self, file: &File) -> Option<u64> {
        let capacity = (*self.capacity.lock())?;
        let folder = path_of(file);
        let entries = fs::read_dir(folder.parent()?).ok()?;
        let used: u64 = entries.flatten().filter_map(|it| Some(it.metadata().ok()?.len())).sum();
        Some(capacity.saturating_sub(used))
    }

    fn holds(&self, text: &[u8]) -> bool {
        let platter = self.platter.lock();
        platter.values().any(|bytes| memchr::memmem::find(bytes, text).is_some())
    }

    /// What another machine finds on the disk after a power cut.
    fn survivors(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let names = self.names.lock();
        for (name, bytes) in self.platter.lock().iter().filter(|(name, _)| names.contains(*name)) {
            fs::write(folder.path().join(name), bytes).expect("it is writable");
        }
        folder
    }
}

impl Disk for Mishaps {
    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        if let Some(kind) = *self.append.lock() {
            // A part of it may be there before the error.
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(kind.into());
        }
        match self.room(file) {
            Some(room) if room < bytes.len() as u64 => {
                file.write_all(&bytes[..room as usize])?;
                Err(ErrorKind::StorageFull.into())
            }
            _ => file.write_all(bytes),
        }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if let Some(kind) = *self.sync.lock() {
            return Err(kind.into());
        }
        if self.is_off.load(Ordering::Relaxed) {
            return Ok(());
        }
        let path = path_of(file);
        if path.is_dir() {
            let entries = fs::read_dir(path)?.flatten().map(|entry| entry.file_name());
            self.names.lock().extend(entries);
        } else if let Some(name) = path.file_name() {
            let mut bytes = vec![0; file.metadata()?.len() as usize];
            file.read_exact_at(&mut bytes, 0)?;
            self.platter.lock().insert(name.to_owned(), bytes);
        }
        Ok(())
    }
}

fn path_of(file: &File) -> PathBuf {
    let link = Path::new("/proc/self/fd").join(file.as_raw_fd().to_string());
    fs::read_link(link).expect("an open file has a name")
}

fn on(disk: &Arc<Mishaps>) -> Stand {
    let spool = tempfile::tempdir().expect("a temporary folder");
    let settings = UsageSettings::new(spool.path().to_owned());
    Stand::on(disk.clone(), ScriptedStore::new(), spool, &settings, PATIENCE)
}

fn sizes(spool: &tempfile::TempDir) -> Vec<u64> {
    segments(spool).iter().map(|path| path.metadata().expect("it is there").len()).collect()
}

#[tokio::test]
async fn what_the_disk_does_not_take_is_counted_and_nothing_else_is_lost() {
    let disk = Arc::new(Mishaps::default());
    let stand = on(&disk);
    let mut recorded = stand.record(10);
    stand.until("it is written", |stand| stand.recorder.waiting() == 0).await;
    for kind in [ErrorKind::Other, ErrorKind::ReadOnlyFilesystem, ErrorKind::StorageFull] {
        *disk.append.lock() = Some(kind);
        let before = stand.metrics.usage.dropped_spool_failed.get();
        stand.record(7);
        let lost = |stand: &Stand| stand.metrics.usage.dropped_spool_failed.get() - before;
        stand.until("all seven are counted", |stand| lost(stand) == 7).await;
        assert!(!stand.recorder.is_well());
        *disk.append.lock() = None;
        recorded.append(&mut stand.record(5));
        stand.until("it is well again", |stand| stand.recorder.is_well()).await;
    }
    let metrics = stand.metrics.clone();
    let (written, _) = stand.stop().await;
    assert_each_once(written, &recorded);
    assert_eq!(metrics.usage.dropped_spool_failed.get(), 21);
    assert_eq!(metrics.usage.damaged.get(), 0, "the halves were taken back");
}

#[tokio::test]
async fn a_full_disk_costs_the_oldest_records_and_counts_each() {
    let disk = Arc::new(Mishaps::default());
    *disk.capacity.lock() = Some(1 << 20);
    let stand = on(&disk);
    stand.store.fail(&[Op::Usage]);
    let mut last = None;
    for _ in 0..30 {
        last = stand.record(1_000).pop_last();
        stand.until("the queue is empty", |stand| stand.recorder.waiting() == 0).await;
    }
    assert!(!stand.recorder.is_well());
    stand.store.heal();
    stand.until("there is room again", |stand| stand.recorder.is_well()).await;
    let metrics = stand.metrics.clone();
    let (written, _) = stand.stop().await;
    let usage = &metrics.usage;
    let dropped = usage.dropped_spool_full.get() + usage.dropped_spool_failed.get();
    assert!(usage.dropped_spool_full.get() > 0, "the disk was filled");
    assert_eq!(written.len() as u64 + dropped, 30_000);
    assert!(last.is_some_and(|last| written.contains(&last)), "the newest stay");
}

#[tokio::test]
async fn a_file_whose_sync_failed_is_appended_to_no_more() {
    let disk = Arc::new(Mishaps::default());
    let stand = on(&disk);
    stand.store.fail(&[Op::Usage]);
    let mut recorded = stand.record(3);
    stand.attempts(1).await;
    *disk.sync.lock() = Some(ErrorKind::Other);
    recorded.append(&mut stand.record(4));
    stand.until("that is noticed", |stand| !stand.recorder.is_well()).await;
    let before = sizes(&stand.spool);
    *disk.sync.lock() = None;
    recorded.append(&mut stand.record(5));
    stand.until("it is well again", |stand| stand.recorder.is_well()).await;
    let after = sizes(&stand.spool);
    assert_eq!((after.len(), &after[..before.len()]), (before.len() + 1, &before[..]));
    stand.store.heal();
    let (written, _) = stand.stop().await;
    assert_each_once(written, &recorded);
}

#[tokio::test]
async fn a_power_cut_takes_the_last_moment_and_doubles_nothing() {
    let disk = Arc::new(Mishaps::default());
    let stand = on(&disk);
    let mut recorded = BTreeSet::new();
    for _ in 0..200 {
        recorded.append(&mut stand.record(3));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // In the order of their making, as UUIDs of version 7 are.
    let newest = *recorded.last().expect("a record");
    stand.until("the disk has it", |_| disk.holds(newest.as_bytes())).await;
    disk.is_off.store(true, Ordering::Relaxed);
    let late = stand.record(20);
    stand.until("it is written", |stand| stand.recorder.waiting() == 0).await;
    stand.worker.abort();

    let spool = disk.survivors();
    let settings = UsageSettings::new(spool.path().to_owned());
    let disk = Arc::new(Mishaps::default());
    let next = Stand::on(disk, stand.store.clone(), spool, &settings, PATIENCE);
    let metrics = next.metrics.clone();
    let (written, _) = next.stop().await;
    let unique: BTreeSet<_> = written.iter().copied().collect();
    assert_eq!(unique.len(), written.len(), "a record is doubled");
    assert!(unique.is_superset(&recorded), "what the disk had is there");
    assert!(unique.is_subset(&recorded.union(&late).copied().collect()), "and nothing else");
    assert_eq!(metrics.usage.damaged.get(), 0);
}

/// What a power cut can cost: 200 ms.
#[tokio::test]
async fn a_record_is_on_the_disk_before_200_ms_have_passed() {
    let disk = Arc::new(Mishaps::default());
    let stand = on(&disk);
    stand.store.fail(&[Op::Usage]);
    let mut took = Vec::new();
    for _ in 0..15 {
        let start = Instant::now();
        let id = stand.record_one(200);
        stand.until("the disk has it", |_| disk.holds(id.as_bytes())).await;
        took.push(start.elapsed());
    }
    // Of an odd number the middle one: a busy machine may hold up a few.
    took.sort();
    assert!(took[7] < Duration::from_millis(200), "{took:?}");
}
