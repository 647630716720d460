//! Usage records a second into both stores, with the CPU that this process takes for them, and how
//! long analytics take to answer after few and after many.
//!
//! `cargo bench --bench usage`, and `-- --records N` for another number than a million.

#[path = "../../tests/it/support/postgres/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod postgres;

use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatepost::clock;
use gatepost::decision::Outcome;
use gatepost::secret_key::{SecretKey, SecretKeys};
use gatepost::store::postgres::PostgresStore;
use gatepost::store::sqlite::{self, SqliteStore};
use gatepost::store::{
    Access, ChainKeys, Grouping, RollupFilter, Store, UsageBatch, UsageRecord, minute,
};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

const BATCH: usize = 5_000;

/// Keys that the records are of, a hundred of them on ten routes.
const KEYS: u128 = 100;

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
        measure("SQLite", Arc::new(store), records).await;

        let database = postgres::TestDatabase::new().await;
        let store =
            PostgresStore::open(&database.url(), 4, chain_keys()).expect("the URL is right");
        measure("Postgres", Arc::new(store), records).await;
    });
}

fn chain_keys() -> ChainKeys {
    let current = SecretKey::parse("2f6b1c9e84d07a35b8e1f4029c7d6a5031e8b7f2").expect("a secret");
    ChainKeys::from(&SecretKeys { current, previous: None })
}

async fn measure(name: &str, store: Arc<dyn Store>, records: usize) {
    write(&store, 1_000).await;
    let few = analytics(&store).await;
    let (start, cpu) = (Instant::now(), cpu());
    write(&store, records).await;
    let (took, cpu) = (start.elapsed(), self::cpu() - cpu);
    let many = analytics(&store).await;
    let rate = records as f64 / took.as_secs_f64();
    let each = cpu.as_nanos() as f64 / records as f64;
    let _ = writeln!(
        stdout(),
        "{name}: {rate:.0} records/s, {each:.0} ns of this process's CPU each; \
         analytics after 1,000: {few:?}, after {records}: {many:?}"
    );
}

async fn write(store: &Arc<dyn Store>, records: usize) {
    let at = clock::now();
    let mut left = records;
    while left > 0 {
        let count = left.min(BATCH);
        let records = (0..count as u128).map(|n| record(at, n)).collect();
        let batch = UsageBatch { id: Uuid::now_v7(), records };
        store.record_usage(&batch).await.expect("it is recorded");
        left -= count;
    }
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
        at,
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

/// User and kernel time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    // utime and stime are the 14th and 15th field; the second ended with the parenthesis.
    let per_second = rustix::param::clock_ticks_per_second();
    Duration::from_secs_f64((ticks(12) + ticks(13)) as f64 / per_second as f64)
}
