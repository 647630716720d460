//! An upstream that records what arrived.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;

/// One request as the upstream saw it.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Arrived {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[derive(Clone)]
pub struct Upstream {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<Arrived>>>,
    /// Requests seen in all, also when nothing is kept of them.
    count: Arc<AtomicUsize>,
}

impl Upstream {
    /// Answers everything with 200; a few names in the path ask for more:
    /// `drip` streams ten chunks, one every 100 ms; `slow` takes 600 ms; `echo` sends the body
    /// back; `teapot` is 418; `big` is 4 MiB; `limited` tells of limits
    /// of its own.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let upstream = Self { addr, seen: Arc::default(), count: Arc::default() };
        let app = Router::new().fallback(answer).with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        upstream
    }

    pub fn seen(&self) -> Vec<Arrived> {
        self.seen.lock().clone()
    }

    pub fn last(&self) -> Arrived {
        self.seen.lock().last().cloned().expect("the upstream was asked")
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    upstream.count.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if path.contains("drip") {
        return drip();
    }
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    {
        let mut seen = upstream.seen.lock();
        if seen.len() < 10_000 {
            seen.push(Arrived {
                method: parts.method,
                target: parts.uri.to_string(),
                headers: parts.headers,
                body: body.clone(),
            });
        }
    }
    if path.contains("slow") {
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    match &*path {
        path if path.contains("echo") => body.into_response(),
        path if path.contains("teapot") => StatusCode::IM_A_TEAPOT.into_response(),
        path if path.contains("limited") => {
            ([("x-ratelimit-limit", "7"), ("ratelimit", "\"own\";r=7")], "").into_response()
        }
        path if path.contains("big") => vec![b'x'; 4 << 20].into_response(),
        _ => "the upstream's answer".into_response(),
    }
}

fn drip() -> Response {
    let chunks = tokio_stream(10, Duration::from_millis(100));
    Response::new(Body::new(chunks))
}

/// A body of `count` chunks, one every `pause`.
fn tokio_stream(
    count: usize,
    pause: Duration,
) -> impl http_body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + 'static {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        for n in 0..count {
            if sender.send(Bytes::from(format!("chunk {n}\n"))).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    });
    Chunks(receiver)
}

struct Chunks(tokio::sync::mpsc::Receiver<Bytes>);

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}
