//! Where connections come in.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::listeners::tls::Acceptor;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::protocols::l4::stream::Stream as TcpStream;
use pingora::protocols::{ALPN, Stream};
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;
use tokio::time::timeout;

use super::connection::{HeadFault, REQUESTS_PER_CONNECTION, WatchedStream};
use super::departure::Departure;
use super::places::{Full, Place, Places};
use super::{Live, Proxy, tls};
use crate::config::{Listen, ProxySettings};
use crate::metrics::{HeadSeries, Metrics};

/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of answers that one stream of HTTP/2 holds for a client that does not read.
const SEND_BUFFER: usize = 64 * 1024;

/// What all doors lead to.
pub(super) struct Inside {
    proxy: Arc<HttpProxy<Proxy>>,
    places: Arc<Places>,
    /// As they were at the start.
    settings: ProxySettings,
    live: Arc<ArcSwap<Live>>,
    metrics: Arc<Metrics>,
    departure: Departure,
}

impl Inside {
    pub fn new(conf: &Arc<ServerConf>, proxy: Proxy, max_connections: usize) -> Arc<Self> {
        let live = Arc::clone(&proxy.live);
        let settings = live.load().settings.clone();
        let metrics = Arc::clone(&proxy.metrics);
        let departure = Departure::new(proxy.health.clone(), proxy.in_flight.clone());
        let mut proxy = http_proxy(conf, proxy);
        proxy.h2_options = Some(h2_options());
        let mut options = HttpServerOptions::default();
        // Only for connections that are found to begin with the preface.
        options.h2c = true;
        options.h2_idle_timeout = Some(settings.keepalive);
        proxy.server_options = Some(options);
        let places = Places::new(max_connections, settings.max_connections_per_source);
        Arc::new(Self { proxy: Arc::new(proxy), places, settings, live, metrics, departure })
    }
}

/// Pingora's defaults bound the streams (100) and their heads (64 KiB, so that one a little too
/// large still gets its `431`); h2's own bound what resets leave behind.
fn h2_options() -> H2Options {
    let mut options = default_h2_options();
    options.max_send_buffer_size(SEND_BUFFER);
    options
}

/// Takes the connections of one listener: gives each a place, speaks TLS where the listener does,
/// and serves the requests on it.
pub struct Door {
    inside: Arc<Inside>,
    tls: Option<Acceptor>,
    h2c: bool,
}

impl Door {
    /// # Errors
    /// The listener's certificate is of no use.
    pub(super) fn new(inside: &Arc<Inside>, listen: &Listen) -> pingora::Result<Self> {
        let tls = listen.certificate.as_ref().map(tls::acceptor).transpose()?;
        Ok(Self { inside: Arc::clone(inside), tls, h2c: listen.h2c })
    }

    /// Trusted proxies speak for many, so that only the sum of theirs is bounded.
    fn place(&self, stream: &Stream) -> Option<Place> {
        let live = self.inside.live.load();
        let peer = peer(stream).filter(|&peer| !live.settings.trusts(peer));
        let rejected = &self.inside.metrics.connections;
        match self.inside.places.take(peer) {
            Ok(place) => return Some(place),
            Err(Full::Total) => rejected.total.inc(),
            Err(Full::Source) => rejected.source.inc(),
        }
        None
    }

    /// The handshake has the time that a head has.
    async fn secure(&self, stream: Stream, acceptor: &Acceptor) -> Option<Stream> {
        let tcp = stream.into_any().downcast::<TcpStream>().ok()?;
        let handshake = timeout(self.inside.settings.head_deadline, acceptor.tls_handshake(*tcp));
        match handshake.await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            Ok(Err(_)) | Err(_) => {
                self.inside.metrics.connections.tls.inc();
                None
            }
        }
    }

    /// Whether the client begins with HTTP/2; `None` when it says too little for too long. No
    /// valid request of HTTP/1.1 is shorter than the preface.
    async fn begins_with_h2(&self, stream: &mut Stream) -> Option<bool> {
        let mut first = [0; PREFACE.len()];
        let peek = timeout(self.inside.settings.keepalive, stream.try_peek(&mut first));
        peek.await.ok()?.ok().map(|peeked| peeked && first == *PREFACE)
    }

    /// Pingora's own loop over HTTP/1 requests, with a watch that is told where each head begins.
    async fn serve_h1(&self, stream: Stream) -> Option<()> {
        let inside = &self.inside;
        let (stream, watch) = WatchedStream::new(stream, inside.settings.head_deadline).ok()?;
        let mut session = ServerSession::new_http1(Box::new(stream));
        // Before a request says otherwise this is how long the first one may keep us waiting.
        session.set_keepalive(Some(whole_seconds(inside.settings.keepalive)));
        session.set_keepalive_reuses_remaining(Some(REQUESTS_PER_CONNECTION));
        loop {
            let served = inside.proxy.process_new_http(session, inside.departure.watch()).await;
            if let Some(fault) = watch.fault() {
                count(&inside.metrics.heads, fault);
            }
            let (stream, settings) = served.map(ReusedHttpStream::consume)?;
            watch.expect_head();
            session = ServerSession::new_http1(stream);
            if let Some(settings) = settings {
                settings.apply_to_session(&mut session);
            }
        }
    }

    /// Pingora's loop over the streams of HTTP/2, told to end as for a shutdown (no new streams,
    /// the others are finished) when there is one, or when there were enough requests.
    async fn serve_h2(&self, stream: Stream) -> Option<()> {
        let inside = &self.inside;
        let (stream, watch) = WatchedStream::new(stream, inside.settings.head_deadline).ok()?;
        // Its heads are frames, with bounds of their own.
        watch.end_head(&[]);
        let (end, ending) = tokio::sync::watch::channel(false);
        let mut stopping = inside.departure.watch().clone();
        let told = async {
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => {}
                () = watch.used_up() => {}
            }
            end.send_replace(true);
            // The connection ends when its streams have.
            std::future::pending::<()>().await;
        };
        let serving = ServerApp::process_new(&inside.proxy, Box::new(stream), &ending);
        tokio::select! {
            _ = serving => Some(()),
            () = told => None,
        }
    }
}

#[async_trait]
impl ServerApp for Door {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        _: &ShutdownWatch,
    ) -> Option<Stream> {
        let _place = self.place(&stream)?;
        let mut is_h2 = false;
        if let Some(acceptor) = &self.tls {
            stream = self.secure(stream, acceptor).await?;
            is_h2 = stream.selected_alpn_proto() == Some(ALPN::H2);
        } else if self.h2c {
            is_h2 = self.begins_with_h2(&mut stream).await?;
        }
        if is_h2 {
            self.serve_h2(stream).await;
        } else {
            self.serve_h1(stream).await;
        }
        None
    }

    /// The listener is closed. Busy clients are told by their next answer; connections that stay
    /// quiet are closed.
    async fn cleanup(&self) {
        self.inside.departure.announce().await;
        self.inside.proxy.http_cleanup().await;
    }
}

fn peer(stream: &Stream) -> Option<IpAddr> {
    let digest = stream.get_socket_digest()?;
    Some(digest.peer_addr()?.as_inet()?.ip().to_canonical())
}

/// Pingora counts keepalive in seconds, and takes zero for "for ever".
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().max(1)
}

/// Without a request there is nothing to record but that it came.
fn count(heads: &HeadSeries, fault: HeadFault) {
    match fault {
        HeadFault::TooLarge => heads.too_large.inc(),
        HeadFault::TooSlow => heads.too_slow.inc(),
        HeadFault::Malformed => heads.malformed.inc(),
    }
}
