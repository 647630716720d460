//! The socket's side: every connection, and every step of one, has a bound.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

/// More wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;
/// For a whole head, and for the pause between two requests.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);
/// Twice what the gate takes, so that it is the gate that refuses, in words.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 200;
/// A client that never reads its answers keeps its place no longer than this.
const CONNECTION_LIFE: Duration = Duration::from_secs(3600);
/// For the request in flight when a connection is to end.
const LAST_REQUEST: Duration = Duration::from_secs(10);
/// Accepting fails when file descriptors run out, and goes on failing until one is given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then finishes what is in flight.
pub(super) async fn serve(
    router: Router,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopped) = watch::channel(());
    let mut conversations = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = conversations.join_next() => {}
            (stream, peer, place) = accept(&listener, &places) => {
                conversations.spawn(converse(router.clone(), stream, peer, stopped.clone(), place));
            }
        }
    }
    drop(listener);
    drop(stop);
    while conversations.join_next().await.is_some() {}
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed: there is always a permit to wait for.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(cause) => {
                tracing::warn!(%cause, "the management listener cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    mut stopped: watch::Receiver<()>,
    _place: Option<OwnedSemaphorePermit>,
) {
    let begun = AtomicBool::new(false);
    let service = service_fn(|request: http::Request<Incoming>| {
        begun.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_DEADLINE)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        // An error is the sender's drop: the stop.
        _ = timeout(CONNECTION_LIFE, stopped.changed()) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        // What has not sent one whole head yet has nothing in flight, but would be waited for.
        None if !begun.load(Ordering::Relaxed) => Ok(()),
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST_REQUEST, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(cause) = ended {
        tracing::debug!(%peer, %cause, "a management connection broke off");
    }
}
