//! What is noted of a request once it has been served: the last steps.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use gatepost::clock;
use gatepost::config::UsageSettings;
use gatepost::decision::Outcome;
use gatepost::metrics::Observation;
use gatepost::store::UsageRecord;
use gatepost::usage;
use http::Method;
use uuid::Uuid;

use crate::stand::{ROUTE, Warm};

pub fn steps(criterion: &mut Criterion) {
    let warm = Warm::new(1);
    let mut group = criterion.benchmark_group("step");
    let observation = Observation {
        route: ROUTE,
        method: &Method::GET,
        status: 200,
        outcome: Outcome::Allow,
        waived: false,
        total: Duration::from_micros(640),
        upstream: Some(Duration::from_micros(600)),
    };
    group.bench_function("metrics", |bench| {
        bench.iter(|| warm.metrics.observe(black_box(&observation)));
    });
    group.bench_function("usage record", |bench| {
        bench.iter_custom(|iterations| record_usage(&warm, iterations));
    });
    group.finish();
}

/// As it is by default: the ring is larger than a CPU cache, which is part of the cost.
const QUEUE: usize = 65_536;

/// What the worker takes at once, so that it does not wait for more.
const PORTION: u64 = 5_000;

/// The time to make and queue `iterations` records, in portions that the queue has room for.
fn record_usage(warm: &Warm, iterations: u64) -> Duration {
    let spool = tempfile::tempdir().expect("a temporary folder");
    let mut settings = UsageSettings::new(spool.path().to_owned());
    settings.queue = QUEUE;
    let (recorder, worker) =
        usage::pipeline(warm.store.clone(), &settings, warm.metrics.clone()).expect("a spool");
    let working = warm.runtime.spawn(worker.run(std::future::pending(), Duration::ZERO));
    let (at, node, route) = (clock::now(), Arc::from("node"), Arc::from(ROUTE));
    let mut took = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let portion = left.min(PORTION);
        let start = Instant::now();
        for _ in 0..portion {
            recorder.record(usage_record(at, &node, &route));
        }
        took += start.elapsed();
        left -= portion;
        while recorder.waiting() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    working.abort();
    took
}

fn usage_record(at: jiff::Timestamp, node: &Arc<str>, route: &Arc<str>) -> UsageRecord {
    UsageRecord {
        at,
        request_id: Uuid::nil(),
        node: Arc::clone(node),
        user_id: Some(Uuid::nil()),
        key_id: Some(Uuid::nil()),
        route: Some(Arc::clone(route)),
        method: Method::GET,
        path: "/service-1/api/v1/resource-1/4711".into(),
        status: 200,
        outcome: Outcome::Allow,
        gateway_time_us: 40,
        upstream_time_us: Some(600),
        request_bytes: 0,
        response_bytes: 200,
        client_ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
    }
}
