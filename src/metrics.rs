//! Every series, made at start and passed in; labels come from closed sets only.

use std::time::Duration;

use crate::decision::Outcome;

/// What one finished request adds to the series.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The route's name, or `none`.
    pub route: &'a str,
    pub method: &'a http::Method,
    pub status: u16,
    pub outcome: Outcome,
    pub total: Duration,
    /// `None` when no upstream was asked.
    pub upstream: Option<Duration>,
}

#[derive(Debug)]
pub struct Metrics {}

impl Metrics {
    /// Makes every series, at zero, for the routes given.
    pub fn new(routes: &[&str]) -> Self {
        let _ = routes;
        todo!()
    }

    pub fn observe(&self, observation: &Observation<'_>) {
        let _ = observation;
        todo!()
    }

    /// The Prometheus text format.
    pub fn render(&self) -> String {
        todo!()
    }
}
