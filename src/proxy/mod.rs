//! The data plane, on Pingora.
//!
//! A connection comes in at the [`Door`], under a watch over its request heads; the phases of a
//! request are in `phases`, each step in a file of its own. Nothing reaches an upstream without an
//! [`Admission`].

mod admit;
pub mod chunks;
mod connection;
mod context;
mod departure;
mod door;
mod failure;
mod forwarding;
pub mod hygiene;
mod identity;
mod live;
mod local;
mod phases;
mod places;
mod record;
mod respond;
#[cfg(test)]
mod tests;
mod tls;
mod trace;
mod upstream;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::combinators::UnsyncBoxBody;
use pingora::http::RequestHeader;
use pingora::server::configuration::ServerConf;
use pingora::services::ServiceWithDependents;
use pingora::services::listening::Service;

use crate::assertion::Assertions;
use crate::decision::Admission;
use crate::gate::Gate;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::usage::Recorder;

use door::Inside;

pub use context::InFlight;
pub use door::Door;
pub use live::Live;

/// How long a client may neither take a byte of its answer nor send one of its body.
const CLIENT_STALL: Duration = Duration::from_secs(60);

/// How long the rest of a body is read after its answer, so that the connection can go on.
const DRAIN: Duration = Duration::from_secs(5);

/// How long an upgraded connection may be silent.
const WEBSOCKET_IDLE: Duration = Duration::from_secs(60 * 60);

/// Headers that are added to a request: three of forwarding, two of tracing, seven of identity.
const OUR_HEADERS: usize = 12;

/// A response that is made in this process.
pub type LocalResponse = http::Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// The built-in upstream `management`: a request is handed over with its admission. The request's
/// extensions hold the client's `IpAddr` and the request id, a `Uuid`.
pub type InProcess = Arc<
    dyn Fn(http::Request<Bytes>, Admission) -> Pin<Box<dyn Future<Output = LocalResponse> + Send>>
        + Send
        + Sync,
>;

/// What the proxy is made of.
pub struct Parts {
    pub gate: Arc<Gate>,
    pub live: Arc<ArcSwap<Live>>,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    pub assertions: Arc<Assertions>,
    pub in_process: InProcess,
    /// This node's name in usage records.
    pub node: Arc<str>,
}

/// What runs beside the proxy: resolving the names of servers and checking their health.
pub type Background = Vec<Box<dyn ServiceWithDependents>>;

/// What a server has to run for the data plane.
pub struct DataPlane {
    /// One for each listener.
    pub services: Vec<Service<Door>>,
    /// How many requests are being served, for a stop that waits no longer than needed.
    pub in_flight: InFlight,
}

/// Builds the data plane with its listeners, to be added to a server of `conf`.
///
/// # Errors
/// A listener's certificate is of no use.
pub fn services(conf: &Arc<ServerConf>, parts: Parts) -> pingora::Result<DataPlane> {
    let settings = parts.live.load().settings.clone();
    let proxy = Proxy::new(parts);
    let in_flight = proxy.in_flight.clone();
    let inside = Inside::new(conf, proxy);
    let mut services = Vec::with_capacity(settings.listen.len());
    for listen in settings.listen {
        let door = Door::new(&inside, &listen)?;
        let mut service = Service::new(format!("proxy on {}", listen.addr), door);
        service.threads = Some(settings.threads);
        service.add_tcp(&listen.addr.to_string());
        services.push(service);
    }
    Ok(DataPlane { services, in_flight })
}

/// The data plane's state, shared by all requests.
struct Proxy {
    gate: Arc<Gate>,
    live: Arc<ArcSwap<Live>>,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    assertions: Arc<Assertions>,
    in_process: InProcess,
    node: Arc<str>,
    in_flight: InFlight,
}

impl Proxy {
    fn new(parts: Parts) -> Self {
        let in_flight = InFlight::new(parts.metrics.in_flight.clone());
        Self {
            gate: parts.gate,
            live: parts.live,
            recorder: parts.recorder,
            metrics: parts.metrics,
            health: parts.health,
            assertions: parts.assertions,
            in_process: parts.in_process,
            node: parts.node,
            in_flight,
        }
    }
}

/// Edits headers as a plain map. Pingora keeps the spelling of each name beside it, in a second
/// map that has to be kept in step at a cost per header; names on the way to an upstream lose
/// their case instead, which HTTP gives no meaning.
fn edit_headers(header: &mut RequestHeader, edit: impl FnOnce(&mut HeaderMap)) {
    let nothing = RequestHeader::from(http::Request::new(()).into_parts().0);
    let mut parts: http::request::Parts = std::mem::replace(header, nothing).into();
    edit(&mut parts.headers);
    *header = RequestHeader::from(parts);
}
