//! What a spool that is full, damaged or gone costs: no more than it must, counted to the record.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::sleep;

use super::books::{Books, assert_all_answered, load, on_both_stores};
use crate::support::disk::SmallDisk;
use crate::support::gateway::{Gateway, Key};
use crate::support::load::{Ledger, Load};

on_both_stores!(
    Books::postgres();
    a_full_spool_drops_the_oldest_and_counts_each,
    a_damaged_spool_costs_what_is_damaged_and_never_a_wrong_record,
);

const DROPPED: &str = "gatepost_usage_dropped_total";

/// Records of a kilobyte and a half fill a spool soon.
fn long_path() -> String {
    format!("/files/{}", "x".repeat(1_500))
}

/// Asks until something is dropped, then waits until all of it is counted.
async fn fill(gateway: &Gateway, key: &Key) -> Ledger {
    let load = Load::start(gateway, &long_path(), key, 8, Duration::ZERO);
    for _ in 0..300 {
        sleep(Duration::from_millis(100)).await;
        if gateway.metric(DROPPED).await > 0.0 {
            break;
        }
    }
    assert_eq!(gateway.health().await, "degraded", "that is told");
    let ledger = load.stop().await;
    assert_all_answered(&ledger);
    sleep(Duration::from_millis(200)).await;
    ledger
}

/// As many records as answers, but for those that are counted as lost.
async fn all_are_accounted_for(books: &Books, gateway: &mut Gateway, ledger: &Ledger) -> usize {
    gateway.is("ready").await;
    let dropped = gateway.metric(DROPPED).await as usize;
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    let recorded = books.recorded(gateway, "files");
    assert!(recorded.iter().all(|id| ledger.ids.contains_key(id)), "a record is made up");
    assert_eq!(recorded.len() + dropped, ledger.answered(), "{ledger:?}");
    dropped
}

async fn a_full_spool_drops_the_oldest_and_counts_each(mut books: Books) {
    let plan = books.plan().extra("\n[usage]\nspool_max = \"1MiB\"\n");
    let mut gateway = plan.start().await;
    let key = gateway.key(&[]).await;
    assert_eq!(gateway.status("/api/v1/profile", &key).await, 200);
    books.close(&gateway);
    let ledger = fill(&gateway, &key).await;
    assert!(gateway.metric("gatepost_usage_spool_bytes").await < 2e6);
    books.open_again();
    let dropped = all_are_accounted_for(&books, &mut gateway, &ledger).await;
    assert!(dropped > 0, "the spool was filled");
}

async fn a_damaged_spool_costs_what_is_damaged_and_never_a_wrong_record(mut books: Books) {
    let mut gateway = books.plan().extra("\n[usage]\nspool = \"spool\"\n").start().await;
    let key = gateway.key(&["orders:read"]).await;
    sleep(Duration::from_millis(500)).await;
    let clients = load(&gateway, &key).await;
    sleep(Duration::from_millis(300)).await;
    books.close(&gateway);
    sleep(Duration::from_millis(1_200)).await;
    let ledger = clients.stop().await;
    assert_all_answered(&ledger);
    // Long enough for the last one to be written.
    sleep(Duration::from_millis(200)).await;
    gateway.signal(Signal::KILL);
    gateway.ended().await;
    let torn = segments(&gateway.dir().join("spool"));
    damage(&torn);

    books.open_again();
    gateway.run();
    gateway.ready().await;
    gateway.says("a usage segment is damaged").await;
    for _ in 0..100 {
        if gateway.metric("gatepost_usage_spool_bytes").await < 1.0 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    let dropped = gateway.metric("gatepost_usage_dropped_total{reason=\"damaged\"}").await as usize;
    assert!(gateway.metric("gatepost_usage_spool_damaged_total").await >= torn.len() as f64);
    assert!(gateway.terminate().await.success(), "it goes on: {}", gateway.log());
    let recorded = books.recorded(&gateway, "orders");
    assert!(recorded.iter().all(|id| ledger.ids.contains_key(id)), "a record is made up");
    let missing = ledger.answered() - recorded.len();
    // The other requests of the time are lost with them.
    assert!((1..=dropped).contains(&missing), "{missing} missing, {dropped} counted");
    assert!(!recorded.is_empty() && dropped < ledger.answered(), "not all of it was damaged");
}

fn segments(spool: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(spool).expect("a spool").map(|entry| entry.expect("one").path());
    let segments: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "usage")).collect();
    assert!(!segments.is_empty(), "nothing was left in the spool");
    segments
}

/// A changed byte in the middle of each.
fn damage(segments: &[PathBuf]) {
    for path in segments {
        let mut bytes = fs::read(path).expect("a segment");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        fs::write(path, bytes).expect("it is writable");
    }
}

/// With a spool of its own disk, where that can be had.
async fn on_a_disk(books: &Books, disk: &SmallDisk) -> (Gateway, Key) {
    let spool = format!("\n[usage]\nspool = \"{}/spool\"\n", disk.path().display());
    let gateway = books.plan().inside(disk.command()).extra(&spool).start().await;
    let key = gateway.key(&[]).await;
    assert_eq!(gateway.status("/api/v1/profile", &key).await, 200);
    (gateway, key)
}

#[tokio::test]
async fn a_disk_that_others_fill_costs_what_does_not_fit() {
    let Some(disk) = SmallDisk::new("2m") else { return };
    let books = Books::sqlite();
    let (mut gateway, key) = on_a_disk(&books, &disk).await;
    let ballast = disk.of(gateway.pid()).join("ballast");
    let mut file = fs::File::create(&ballast).expect("the disk is there");
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    let ledger = fill(&gateway, &key).await;
    fs::remove_file(&ballast).expect("it is there");
    let more = Load::start(&gateway, &long_path(), &key, 2, Duration::from_millis(5));
    gateway.is("ready").await;
    let more = more.stop().await;
    let dropped = all_are_accounted_for(&books, &mut gateway, &both(ledger, more)).await;
    assert!(dropped > 0);
}

#[tokio::test]
async fn a_disk_smaller_than_the_spool_may_be_drops_the_oldest() {
    let Some(disk) = SmallDisk::new("2m") else { return };
    let mut books = Books::sqlite();
    let (mut gateway, key) = on_a_disk(&books, &disk).await;
    books.close(&gateway);
    let ledger = fill(&gateway, &key).await;
    books.open_again();
    let dropped = all_are_accounted_for(&books, &mut gateway, &ledger).await;
    assert!(dropped > 0);
}

#[tokio::test]
async fn a_spool_that_is_taken_away_costs_what_was_in_it_and_serving_goes_on() {
    let books = Books::sqlite();
    let mut gateway = books.plan().extra("\n[usage]\nspool = \"spool\"\n").start().await;
    let key = gateway.key(&[]).await;
    let (spool, away) = (gateway.dir().join("spool"), gateway.dir().join("away"));
    fs::rename(&spool, &away).expect("renamed");
    // With a file in its place it cannot be made again either.
    fs::write(&spool, "").expect("a file");
    let ledger = fill(&gateway, &key).await;
    fs::remove_file(&spool).expect("removed");
    let more = Load::start(&gateway, &long_path(), &key, 2, Duration::from_millis(5));
    gateway.is("ready").await;
    let more = more.stop().await;
    let dropped = gateway.metric(DROPPED).await as usize;
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    let recorded = books.recorded(&gateway, "files");
    let all = both(ledger, more);
    assert!(recorded.iter().all(|id| all.ids.contains_key(id)), "a record is made up");
    let missing = all.answered() - recorded.len();
    // Those of the management listener were lost with them.
    assert!((missing..missing + 20).contains(&dropped), "{missing} missing, {dropped} counted");
}

#[tokio::test]
async fn a_second_gateway_on_the_same_spool_does_not_start() {
    let (books, spool) = (Books::shared().await, tempfile::tempdir().expect("a folder"));
    let plan = || {
        let spool = format!("\n[usage]\nspool = \"{}\"\n", spool.path().display());
        books.plan().extra(&spool)
    };
    let _first = plan().start().await;
    let mut second = plan().spawn().await;
    assert_eq!(second.ended().await.code(), Some(1));
    assert!(second.log().contains("another gatepost uses the spool"), "{}", second.log());
}

fn both(mut one: Ledger, other: Ledger) -> Ledger {
    one.ids.extend(other.ids);
    for (status, count) in other.answers {
        *one.answers.entry(status).or_default() += count;
    }
    one
}
