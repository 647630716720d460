//! From a raw key to an admission, whole and step by step, with a cache that is warm.
//!
//! `cargo bench --bench decision`; a word after `--` picks the measurements that contain it.

mod limiters;
mod memory;
mod record;
mod stand;

use std::cell::OnceCell;
use std::hint::black_box;
use std::io::{Write, stdout};
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion};
use gatepost::clock;
use gatepost::decision::{self, Opening, Question};
use gatepost::key::{Digest, IdKey, ParsedKey};
use gatepost::policy::{Policy, check_target};

use stand::{Request, Warm, credential, policy};

/// What Gatepost is built with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUTES: [usize; 4] = [10, 100, 1_000, 10_000];

/// Cached keys in the measurement that asks for them at random.
const MANY_KEYS: usize = 1_000_000;

fn main() {
    // `cargo test --all-targets` starts benches too, without this argument.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    admit_by_routes(&mut criterion);
    steps(&mut criterion);
    record::steps(&mut criterion);
    admit_among_many_keys(&mut criterion);
    limiters::charge_among_many(&mut criterion);
    criterion.final_summary();
}

/// The whole of it must not grow with the number of routes.
fn admit_by_routes(criterion: &mut Criterion) {
    let warm = Warm::new(1);
    let mut group = criterion.benchmark_group("admit, by number of routes");
    for routes in ROUTES {
        let (policy, request) = (policy(routes), Request::new(routes, &warm.keys[0]));
        warm.admit(&request, &policy).expect("the request is in order");
        group.bench_function(BenchmarkId::from_parameter(routes), |bench| {
            bench.iter(|| warm.admit(black_box(&request), &policy));
        });
    }
    group.finish();
}

/// Keys that no CPU cache holds.
fn admit_among_many_keys(criterion: &mut Criterion) {
    // Made if it is asked for, and once: criterion comes here for each of its phases.
    let made = OnceCell::new();
    criterion.bench_function("admit, a random one of 1,000,000 keys", |bench| {
        let (warm, policy) = made.get_or_init(|| {
            let warm = Warm::new(MANY_KEYS);
            let megabytes = warm.grown_by / 1_000_000;
            let _ = writeln!(stdout(), "memory of 1,000,000 cached keys: {megabytes} MB");
            (warm, policy(100))
        });
        let any = || Request::new(100, &warm.keys[fastrand::usize(..warm.keys.len())]);
        bench.iter_batched_ref(any, |request| warm.admit(request, policy), BatchSize::SmallInput);
    });
}

/// The parts of an admission, in the order in which they happen.
fn steps(criterion: &mut Criterion) {
    let (warm, policy) = (Warm::new(1), policy(100));
    let key = &warm.keys[0];
    let request = Request::new(100, key);
    let view = request.view();
    let raw_key = key.secret.reveal().as_bytes();
    let credential = credential(key);
    let id_key = IdKey::from_bytes([7; 32]);

    let mut group = criterion.benchmark_group("step");
    group.bench_function("open: shape, route, credential", |bench| {
        bench.iter(|| decision::open(black_box(&view), &policy));
    });
    group.bench_function("open › target", |bench| {
        bench.iter(|| check_target(black_box(view.target)));
    });
    group.bench_function("open › route", |bench| {
        bench.iter(|| policy.find(view.method, "api.example.com", black_box(view.path())));
    });
    group.bench_function("open › parse the key", |bench| {
        bench.iter(|| ParsedKey::parse(black_box(raw_key)));
    });
    group.bench_function("open › SHA-256 of the key", |bench| {
        bench.iter(|| Digest::of(black_box(raw_key)));
    });
    group.bench_function("directory: MAC and cache", |bench| {
        bench.iter(|| warm.directory.cached(black_box(&credential)));
    });
    group.bench_function("directory › MAC of the id", |bench| {
        bench.iter(|| id_key.minted(black_box(&key.lookup_id)));
    });
    group.bench_function("clock", |bench| bench.iter(clock::now));
    group.bench_function("close: digest, state, permissions", |bench| {
        let answer = warm.directory.cached(&credential).expect("the key is cached");
        let now = clock::now();
        bench.iter_batched(
            || (question(&request, &policy), answer.clone()),
            |(question, answer)| question.close(answer, &view, now),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("limits: one rate", |bench| {
        let admission = warm.admit(&request, &policy).expect("the request is in order");
        let now = clock::now();
        bench.iter_batched(
            || admission.clone(),
            |admission| warm.limit(admission, view.client, now),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn question(request: &Request, policy: &Policy) -> Question {
    match decision::open(&request.view(), policy) {
        Opening::Ask(question) => question,
        other => panic!("the request has a key, and it came to {other:?}"),
    }
}
