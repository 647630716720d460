//! Where connections come in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, ReusedHttpStream, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;

use super::Proxy;
use super::connection::{HeadFault, WatchedStream};
use super::departure::Departure;
use crate::metrics::{HeadSeries, Metrics};

/// Requests on one connection before it is closed, which frees what it has gathered.
const REQUESTS_PER_CONNECTION: u32 = 1_000;

/// Takes a connection, puts it under watch, and serves the requests on it one after the other.
pub struct Door {
    proxy: Arc<HttpProxy<Proxy>>,
    head_deadline: Duration,
    keepalive: u64,
    metrics: Arc<Metrics>,
    departure: Departure,
}

impl Door {
    pub(super) fn new(conf: &Arc<ServerConf>, proxy: Proxy) -> Self {
        let (head_deadline, keepalive) = {
            let live = proxy.live.load();
            (live.settings.head_deadline, whole_seconds(live.settings.keepalive))
        };
        let metrics = Arc::clone(&proxy.metrics);
        let departure = Departure::new(proxy.health.clone(), proxy.in_flight.clone());
        Self {
            proxy: Arc::new(http_proxy(conf, proxy)),
            head_deadline,
            keepalive,
            metrics,
            departure,
        }
    }
}

/// Pingora counts keepalive in seconds, and takes zero for "for ever".
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}

#[async_trait]
impl ServerApp for Door {
    /// Pingora's own loop over HTTP/1 requests, with the watch told where each head begins.
    /// (HTTP/2 will branch off here, by ALPN or preface: its framing has limits of its own.)
    async fn process_new(self: &Arc<Self>, stream: Stream, _: &ShutdownWatch) -> Option<Stream> {
        let (stream, watch) = WatchedStream::new(stream, self.head_deadline).ok()?;
        let mut session = ServerSession::new_http1(Box::new(stream));
        // Before a request says otherwise this is how long the first one may keep us waiting.
        session.set_keepalive(Some(self.keepalive));
        session.set_keepalive_reuses_remaining(Some(REQUESTS_PER_CONNECTION));
        loop {
            let served = self.proxy.process_new_http(session, self.departure.watch()).await;
            if let Some(fault) = watch.fault() {
                count(&self.metrics.heads, fault);
            }
            let (stream, settings) = served.map(ReusedHttpStream::consume)?;
            watch.expect_head();
            session = ServerSession::new_http1(stream);
            if let Some(settings) = settings {
                settings.apply_to_session(&mut session);
            }
        }
    }

    /// The listener is closed. Busy clients are told by their next answer; connections that stay
    /// quiet are closed.
    async fn cleanup(&self) {
        self.departure.announce().await;
        self.proxy.http_cleanup().await;
    }
}

/// Without a request there is nothing to record but that it came.
fn count(heads: &HeadSeries, fault: HeadFault) {
    match fault {
        HeadFault::TooLarge => heads.too_large.inc(),
        HeadFault::TooSlow => heads.too_slow.inc(),
        HeadFault::Malformed => heads.malformed.inc(),
    }
}
