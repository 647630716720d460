//! Limits with very many callers.

use std::cell::OnceCell;
use std::io::{Write, stdout};
use std::net::{IpAddr, Ipv4Addr};

use criterion::Criterion;
use gatepost::clock;
use gatepost::decision::{self, Admission, Opening};
use gatepost::key::Rate;
use gatepost::policy::{Access, CredentialRules, PathPattern, Policy, Route, RouteOptions};

use crate::stand::{Request, Warm, resident};

const CALLERS: u32 = 1_000_000;

/// Clients of a public route have a limiter each.
pub fn charge_among_many(criterion: &mut Criterion) {
    // Made if it is asked for, and once: criterion comes here for each of its phases.
    let made = OnceCell::new();
    criterion.bench_function("limits: a random one of 1,000,000 callers", |bench| {
        let (warm, admission) = made.get_or_init(|| {
            let warm = Warm::new(1);
            let admission = admission(&warm);
            let before = resident();
            (0..CALLERS).for_each(|n| charge(&warm, &admission, n));
            let megabytes = resident().saturating_sub(before) / 1_000_000;
            let kept = warm.metrics.limits.kept.get();
            let _ = writeln!(stdout(), "memory of {kept} active limiters: {megabytes} MB");
            (warm, admission)
        });
        bench.iter(|| charge(warm, admission, fastrand::u32(..CALLERS)));
    });
}

fn charge(warm: &Warm, admission: &Admission, caller: u32) {
    let client = IpAddr::V4(Ipv4Addr::from_bits(caller));
    // Whoever has used up their rate meanwhile is refused, which costs the same.
    let _ = warm.limit(admission.clone(), client, clock::now());
}

fn admission(warm: &Warm) -> Admission {
    let options = RouteOptions { rate: Rate::parse("1000/s"), ..RouteOptions::default() };
    let route = Route {
        name: "open".into(),
        path: PathPattern::parse("/{*rest}").expect("a path"),
        methods: None,
        host: None,
        access: Access::Public,
        upstream: "orders".into(),
        options,
    };
    let policy = Policy::new(vec![route], CredentialRules::default(), "bench").expect("one route");
    match decision::open(&Request::new(1, &warm.keys[0]).view(), &policy) {
        Opening::Allow(admission) => admission,
        other => panic!("the route is public, and it came to {other:?}"),
    }
}
