//! Usage records a second into both stores, with the CPU that they take, and how long analytics
//! take to answer after few and after many.
//!
//! `cargo bench --bench usage`, and `-- --records N` for another number than a million.

#[path = "../../tests/it/support/postgres/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod postgres;

mod cpu;

use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatepost::clock;
use gatepost::config::UsageSettings;
use gatepost::decision::Outcome;
use gatepost::metrics::Metrics;
use gatepost::secret_key::{SecretKey, SecretKeys};
use gatepost::store::postgres::PostgresStore;
use gatepost::store::sqlite::{self, SqliteStore};
use gatepost::store::{
    Access, ChainKeys, Grouping, RollupFilter, Store, UsageBatch, UsageRecord, minute,
};
use gatepost::usage;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use uuid::Uuid;

use cpu::Cpu;

/// What Gatepost is built with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 5_000;

/// Keys that the records are of, a hundred of them on ten routes.
const KEYS: u128 = 100;

/// Minutes that the records are of: analytics add up keys, routes and minutes, not requests.
const MINUTES: i64 = 5;

/// A server's settings where nothing may be lost.
const DURABLE: &str = "fsync = on\nfull_page_writes = on";

fn main() {
    // `cargo test --all-targets` starts benches too, without this argument.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let mut arguments = std::env::args().skip_while(|arg| arg != "--records").skip(1);
    let records = arguments.next().map_or(1_000_000, |count| count.parse().expect("a number"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("gatepost.db");
        sqlite::migrate::up(&path, sqlite::MIGRATIONS).expect("the migrations apply");
        let store = SqliteStore::open(&path, Access::Serving, chain_keys()).expect("it opens");
        measure("SQLite", Arc::new(store), records, &Cpu(None)).await;

        let cluster = postgres::Cluster::start(DURABLE);
        cluster.migrate("postgres").await;
        let store = PostgresStore::open(&cluster.url("postgres"), 4, chain_keys());
        let cpu = Cpu(Some(&cluster));
        measure("Postgres", Arc::new(store.expect("the URL is right")), records, &cpu).await;
    });
}

fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

async fn measure(name: &str, store: Arc<dyn Store>, records: usize, cpu: &Cpu<'_>) {
    let at = clock::now();
    write(&store, at, 1_000).await;
    let few = analytics(&store).await;
    let before = cpu.used();
    let took = write(&store, at, records).await;
    report(&format!("{name}, the store alone"), records, took, cpu, before);
    let before = cpu.used();
    let took = pass(&store, at, records).await;
    report(&format!("{name}, from the door to the store"), records, took, cpu, before);
    let many = analytics(&store).await;
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    say(&format!(
        "{name}, analytics of a day: {few:.1?} after 1,000 records, {many:.1?} after {}: {ratio:.2}",
        2 * records + 1_000
    ));
}

fn report(what: &str, records: usize, took: Duration, cpu: &Cpu<'_>, before: (Duration, Duration)) {
    let rate = records as f64 / took.as_secs_f64();
    let (ours, servers) = cpu.used();
    let each = |now: Duration, before| (now.saturating_sub(before) / records as u32).as_nanos();
    let (ours, servers) = (each(ours, before.0), each(servers, before.1));
    let per_core = 1_000_000_000 / (ours + servers).max(1);
    say(&format!(
        "{what}: {rate:.0} records/s; CPU for each {ours} ns here, {servers} ns in the server: \
         {per_core} records/s on one core"
    ));
}

/// Batches of the usual size, one after the other. Making them is not part of the time.
async fn write(store: &Arc<dyn Store>, at: Timestamp, records: usize) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = records;
    while left > 0 {
        let count = left.min(BATCH);
        let records = (0..count as u128).map(|n| record(at, n)).collect();
        let batch = UsageBatch { id: Uuid::now_v7(), records };
        let start = Instant::now();
        store.record_usage(&batch).await.expect("it is recorded");
        took += start.elapsed();
        left -= count;
    }
    took
}

/// Through queue and spool, as fast as the queue takes them.
async fn pass(store: &Arc<dyn Store>, at: Timestamp, records: usize) -> Duration {
    let spool = tempfile::tempdir().expect("a temporary folder");
    let settings = UsageSettings::new(spool.path().to_owned());
    let metrics = Arc::new(Metrics::new(&[]));
    let (recorder, worker) =
        usage::pipeline(Arc::clone(store), &settings, metrics.clone()).expect("a spool");
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let working = tokio::spawn(worker.run(stopped, Duration::from_secs(600)));
    let start = Instant::now();
    for n in 0..records {
        while recorder.waiting() >= settings.queue / 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        recorder.record(record(at, n as u128));
    }
    let _ = stop.send(());
    assert!(working.await.expect("no panic"), "all of it is shipped");
    let took = start.elapsed();
    assert_eq!(metrics.usage.records.get(), records as u64);
    took
}

fn chain_keys() -> ChainKeys {
    let current = SecretKey::parse("2f6b1c9e84d07a35b8e1f4029c7d6a5031e8b7f2").expect("a secret");
    ChainKeys::from(&SecretKeys { current, previous: None })
}

/// The best of ten, as for everything that other work on the machine only slows down.
async fn analytics(store: &Arc<dyn Store>) -> Duration {
    let now = minute(clock::now());
    let filter = RollupFilter {
        from: now - SignedDuration::from_hours(24),
        to: now + SignedDuration::from_mins(1),
        user_id: None,
        key_id: None,
        route: None,
        outcome: None,
    };
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        store.usage_sums(&filter, Grouping::Steps(60)).await.expect("an answer");
        best = best.min(start.elapsed());
    }
    best
}

fn record(at: Timestamp, n: u128) -> UsageRecord {
    UsageRecord {
        at: at - SignedDuration::from_mins(n as i64 % MINUTES),
        request_id: Uuid::now_v7(),
        node: "node-1:4711".into(),
        user_id: Some(Uuid::from_u128(n % KEYS / 10 + 1)),
        key_id: Some(Uuid::from_u128(n % KEYS + 1)),
        route: Some(format!("route-{}", n % 10).into()),
        method: Method::GET,
        path: "/service-1/api/v1/resource-1/4711".into(),
        status: 200,
        outcome: Outcome::Allow,
        gateway_time_us: 40,
        upstream_time_us: Some(600 + (n % 7) as u32 * 50),
        request_bytes: 0,
        response_bytes: 200,
        client_ip: [192, 0, 2, 7].into(),
    }
}
