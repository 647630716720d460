//! The data plane, on Pingora.

use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

use crate::config::{ProxySettings, Upstream};
use crate::decision::Admission;
use crate::gate::Gate;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::usage::Recorder;

/// A response that is made in this process.
pub type LocalResponse = http::Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// The built-in upstream `management`: a request is handed over with its admission.
pub type InProcess = Arc<
    dyn Fn(http::Request<Bytes>, Admission) -> Pin<Box<dyn Future<Output = LocalResponse> + Send>>
        + Send
        + Sync,
>;

/// What the proxy is made of.
pub struct Parts {
    pub gate: Arc<Gate>,
    pub policy: Arc<ArcSwap<Policy>>,
    pub settings: ProxySettings,
    pub upstreams: Vec<Upstream>,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    pub in_process: InProcess,
    /// This node's name in usage records.
    pub node: Arc<str>,
}
