use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;
use http::Method;
use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::series::Series;
use crate::decision::{Denial, Outcome};

/// What one finished request adds to the series.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The route's name, or `none`.
    pub route: &'a str,
    pub method: &'a Method,
    pub status: u16,
    pub outcome: Outcome,
    /// The outcome is what a route in shadow would have done, and did not.
    pub waived: bool,
    pub total: Duration,
    /// `None` when no upstream was asked.
    pub upstream: Option<Duration>,
}

/// Where requests are counted that matched no route, and those of a route that is not known here.
const NO_ROUTE: &str = "none";
const OTHER_ROUTE: &str = "other";

/// Seconds, from what a refusal takes to what a slow upstream takes.
const WHOLE: &[f64] = &[
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5, 5.0, 10.0, 30.0,
];

/// Seconds, finer where the gateway's own share is.
const OWN: &[f64] = &[
    0.00001, 0.000025, 0.00005, 0.000075, 0.0001, 0.00015, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
    0.01, 0.025, 0.1, 0.25, 1.0,
];

/// Names come from the configuration, so nobody can make them collide.
type ByName = HashMap<Box<str>, Arc<RouteSeries>, FixedState>;

#[derive(Debug)]
pub(super) struct Requests {
    total: IntCounterVec,
    routes: ArcSwap<ByName>,
    other: RouteSeries,
    decisions: Vec<IntCounter>,
    waived: Vec<IntCounter>,
    whole: Histogram,
    upstream: Histogram,
    overhead: Histogram,
}

impl Requests {
    pub fn new(series: &Series, routes: &[&str]) -> Self {
        let total = series.counters(
            "requests_total",
            "Requests by route, method and status.",
            &["route", "method", "status"],
        );
        let decisions = series.counters(
            "decisions_total",
            "Requests by how they ended: `allow`, a denial, or a failure.",
            &["outcome"],
        );
        let waived = series.counters(
            "shadow_denials_total",
            "Requests that passed on a route in shadow, by the denial that it noted.",
            &["outcome"],
        );
        Self {
            waived: Denial::ALL
                .iter()
                .map(|denial| waived.with_label_values(&[denial.code()]))
                .collect(),
            routes: ArcSwap::from_pointee(by_name(&total, routes.iter().chain([&NO_ROUTE]))),
            other: RouteSeries::new(OTHER_ROUTE, &total),
            decisions: Outcome::all()
                .map(|outcome| decisions.with_label_values(&[outcome.code()]))
                .collect(),
            whole: series.histogram(
                "request_duration_seconds",
                "From the request's head to the end of the answer.",
                WHOLE,
            ),
            upstream: series.histogram(
                "upstream_duration_seconds",
                "What the upstream took of it.",
                WHOLE,
            ),
            overhead: series.histogram("overhead_seconds", "What Gatepost itself took of it.", OWN),
            total,
        }
    }

    /// Makes series for routes that are new. Those that are gone keep what they counted.
    pub fn know(&self, routes: &[&str]) {
        let mut all = HashMap::clone(&self.routes.load());
        for (name, series) in by_name(&self.total, routes.iter()) {
            all.entry(name).or_insert(series);
        }
        self.routes.store(Arc::new(all));
    }

    pub fn observe(&self, seen: &Observation<'_>) {
        let routes = self.routes.load();
        let route = routes.get(seen.route).map_or(&self.other, |route| &**route);
        route.counter(&self.total, seen.method, seen.status).inc();
        self.decisions[index_of(seen.outcome)].inc();
        if let (true, Outcome::Deny(denial)) = (seen.waived, seen.outcome) {
            self.waived[denial as usize].inc();
        }
        self.whole.observe(seen.total.as_secs_f64());
        if let Some(upstream) = seen.upstream {
            self.upstream.observe(upstream.as_secs_f64());
        }
        let own = seen.total.saturating_sub(seen.upstream.unwrap_or_default());
        self.overhead.observe(own.as_secs_f64());
    }
}

fn by_name<'n>(total: &IntCounterVec, names: impl Iterator<Item = &'n &'n str>) -> ByName {
    names.map(|name| (Box::from(*name), Arc::new(RouteSeries::new(name, total)))).collect()
}

/// The place of `outcome` in [`Outcome::all`].
pub(super) fn index_of(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Allow => 0,
        Outcome::Deny(denial) => 1 + denial as usize,
        Outcome::Fail(failure) => 1 + Denial::ALL.len() + failure as usize,
    }
}

/// One route's counters. Most of the methods and statuses never occur on it, so each counter is
/// made when it is first needed.
#[derive(Debug)]
struct RouteSeries {
    name: Box<str>,
    methods: [OnceLock<Box<StatusCounters>>; METHODS.len()],
}

type StatusCounters = [OnceLock<IntCounter>; STATUS_LABELS];

impl RouteSeries {
    /// One series is there from the start, so that a route that is never asked shows as zero.
    fn new(name: &str, total: &IntCounterVec) -> Self {
        let route = Self { name: name.into(), methods: Default::default() };
        route.counter(total, &Method::GET, 200);
        route
    }

    fn counter(&self, total: &IntCounterVec, method: &Method, status: u16) -> &IntCounter {
        let (method, status) = (method_index(method), status_index(status));
        let statuses = self.methods[method]
            .get_or_init(|| Box::new([const { OnceLock::new() }; STATUS_LABELS]));
        statuses[status].get_or_init(|| {
            total.with_label_values(&[&*self.name, METHODS[method], &status_label(status)])
        })
    }
}

/// The methods with a label of their own, and the one for all others.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

fn method_index(method: &Method) -> usize {
    let known = METHODS.iter().position(|&name| name == method.as_str());
    known.unwrap_or(METHODS.len() - 1)
}

/// The statuses with a label of their own, in order. Any other is counted by its class: an
/// upstream may answer what it likes, and must not be able to make series without end.
const STATUSES: [u16; 34] = [
    101, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408,
    409, 410, 412, 413, 414, 415, 422, 429, 431, 499, 500, 501, 502, 503, 504,
];
const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];
const STATUS_LABELS: usize = STATUSES.len() + CLASSES.len();

fn status_index(status: u16) -> usize {
    STATUSES.binary_search(&status).unwrap_or_else(|_| {
        let class = usize::from(status / 100);
        STATUSES.len() + if class < CLASSES.len() { class } else { 0 }
    })
}

fn status_label(index: usize) -> String {
    match STATUSES.get(index) {
        Some(status) => status.to_string(),
        None => CLASSES[index - STATUSES.len()].to_owned(),
    }
}
