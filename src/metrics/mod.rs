//! Every series, made at start and passed in; labels come from closed sets only.

mod requests;
mod series;
mod services;

#[cfg(test)]
mod tests;

use prometheus::{IntGauge, TextEncoder};

pub use requests::Observation;
use requests::Requests;
use series::Series;
pub use services::{
    CacheSeries, ConfigSeries, ConnectionSeries, FeedSeries, HeadSeries, KeySeries, LimitSeries,
    SecuritySeries, StoreSeries, UsageSeries,
};

/// All series of this process. Whoever counts holds a handle: nothing is looked up by name.
#[derive(Debug)]
pub struct Metrics {
    all: Series,
    requests: Requests,
    /// Requests being served.
    pub in_flight: IntGauge,
    pub heads: HeadSeries,
    pub connections: ConnectionSeries,
    pub cache: CacheSeries,
    pub config: ConfigSeries,
    pub feed: FeedSeries,
    pub keys: KeySeries,
    pub store: StoreSeries,
    pub usage: UsageSeries,
    pub limits: LimitSeries,
    pub security: SecuritySeries,
}

impl Metrics {
    /// Makes every series, at zero, for the routes given.
    pub fn new(routes: &[&str]) -> Self {
        let all = Series::of_this_process();
        let version = all.gauges("build_info", "1, for the version that runs.", "version");
        version.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Self {
            requests: Requests::new(&all, routes),
            in_flight: all.gauge("requests_in_flight", "Requests being served."),
            heads: HeadSeries::new(&all),
            connections: ConnectionSeries::new(&all),
            cache: CacheSeries::new(&all),
            config: ConfigSeries::new(&all),
            feed: FeedSeries::new(&all),
            keys: KeySeries::new(&all),
            store: StoreSeries::new(&all),
            usage: UsageSeries::new(&all),
            limits: LimitSeries::new(&all),
            security: SecuritySeries::new(&all),
            all,
        }
    }

    /// Makes series for the routes of a configuration that was loaded later.
    pub fn know(&self, routes: &[&str]) {
        self.requests.know(routes);
    }

    /// Adds one finished request. On the hot path: nothing is allocated once a route has answered
    /// with this method and status before.
    pub fn observe(&self, observation: &Observation<'_>) {
        self.requests.observe(observation);
    }

    /// The Prometheus text format.
    pub fn render(&self) -> String {
        self.feed.refresh();
        TextEncoder::new().encode_to_string(&self.all.gather()).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            String::new()
        })
    }
}
