use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, Result,
};

const PREFIX: &str = "gatepost";

/// Makes series, and gathers them.
#[derive(Debug)]
pub(super) struct Series(Registry);

impl Series {
    /// With the `process_*` family, which has no prefix anywhere.
    pub fn of_this_process() -> Self {
        let series = Self(Registry::new());
        series.register(ProcessCollector::for_self());
        series
    }

    pub fn gather(&self) -> Vec<MetricFamily> {
        self.0.gather()
    }

    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.made(IntCounter::with_opts(opts(name, help)))
    }

    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.made(IntCounterVec::new(opts(name, help), labels))
    }

    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.made(IntGauge::with_opts(opts(name, help)))
    }

    pub fn seconds(&self, name: &str, help: &str) -> Gauge {
        self.made(Gauge::with_opts(opts(name, help)))
    }

    pub fn gauges(&self, name: &str, help: &str, label: &str) -> IntGaugeVec {
        self.made(IntGaugeVec::new(opts(name, help), &[label]))
    }

    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.made(Histogram::with_opts(timed(name, help, buckets)))
    }

    pub fn histograms(&self, name: &str, help: &str, label: &str, buckets: &[f64]) -> HistogramVec {
        self.made(HistogramVec::new(timed(name, help, buckets), &[label]))
    }

    fn made<C: Collector + Clone + 'static>(&self, made: Result<C>) -> C {
        let collector =
            made.expect("names, labels and buckets are constants that Prometheus takes");
        self.register(collector.clone());
        collector
    }

    fn register(&self, collector: impl Collector + 'static) {
        self.0.register(Box::new(collector)).expect("each name is given once in this room");
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(PREFIX)
}

fn timed(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(name, help).namespace(PREFIX).buckets(buckets.to_vec())
}
