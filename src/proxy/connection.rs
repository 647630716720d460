//! The client's connection, and a watch over each request head on it.
//!
//! Pingora bounds each read but not a whole head, and it repairs some faults before a hook can see
//! them. The watch sits below it: it holds a deadline and a size for the head, and keeps the bytes
//! as they came so that a repair can be noticed.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;
use parking_lot::Mutex;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, Digest, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest,
    Ssl, Stream, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

use super::chunks::Chunks;

/// Bytes of one head that are read before the connection is closed. Twice what a request may
/// have, so that one a little too large still gets its `431`.
const MAX_HEAD: usize = 64 * 1024;

/// Requests on one connection before it is closed, which frees what it has gathered.
pub const REQUESTS_PER_CONNECTION: u32 = 1_000;

/// A buffer larger than this is not kept from one request to the next.
const KEPT_BUFFER: usize = 4 * 1024;

/// Why no request was made of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    TooLarge,
    TooSlow,
    /// The framework could not read it, or it broke off.
    Malformed,
}

/// What the stream and the hooks share about one connection.
pub struct Watch {
    /// Between the last byte of a response and the end of the next head.
    in_head: AtomicBool,
    head: Mutex<Vec<u8>>,
    cut_off: OnceLock<HeadFault>,
    /// The body that is being read comes in chunks, and how far they have been followed.
    in_chunks: AtomicBool,
    chunks: Mutex<Chunks>,
    broken: AtomicBool,
    /// The peer's address as a header value: the same for every request on the connection.
    peer_value: OnceLock<HeaderValue>,
    /// Requests of HTTP/2 so far, which come many at once.
    requests: AtomicU32,
    used_up: Notify,
}

impl Watch {
    fn new() -> Self {
        Self {
            in_head: AtomicBool::new(true),
            head: Mutex::new(Vec::new()),
            cut_off: OnceLock::new(),
            in_chunks: AtomicBool::new(false),
            chunks: Mutex::new(Chunks::default()),
            broken: AtomicBool::new(false),
            peer_value: OnceLock::new(),
            requests: AtomicU32::new(0),
            used_up: Notify::new(),
        }
    }

    /// Another request of HTTP/2 has come.
    pub fn count_request(&self) {
        if self.requests.fetch_add(1, Ordering::Relaxed) + 1 == REQUESTS_PER_CONNECTION {
            self.used_up.notify_one();
        }
    }

    /// Resolves when the connection has had as many requests of HTTP/2 as it may.
    pub async fn used_up(&self) {
        self.used_up.notified().await;
    }

    /// The watch over the connection that `digest` is of, if it came through a [`WatchedStream`].
    pub fn of(digest: &Digest) -> Option<&Arc<Watch>> {
        digest.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
    }

    /// The next byte that is read begins a head.
    pub fn expect_head(&self) {
        let mut head = self.head.lock();
        head.clear();
        head.shrink_to(KEPT_BUFFER);
        self.in_chunks.store(false, Ordering::Release);
        self.in_head.store(true, Ordering::Release);
    }

    /// The head is whole; what is read from now on is body. Tells whether `parsed`, the head as
    /// the framework shows it, is what came from the wire.
    pub fn end_head(&self, parsed: &[u8]) -> bool {
        self.in_head.store(false, Ordering::Release);
        let head = self.head.lock();
        // A body may have come with the head, and a huge head is not kept whole.
        let known = head.len().min(parsed.len());
        head[..known] == parsed[..known]
    }

    /// A chunked body follows a head of `length` bytes. Tells whether what has come of it so far is
    /// one; what comes later breaks the connection off when it is not.
    pub fn expect_chunks(&self, length: usize) -> bool {
        let mut chunks = Chunks::default();
        let head = self.head.lock();
        let followed = head.get(length..).is_some_and(|body| chunks.follow(body).is_ok());
        *self.chunks.lock() = chunks;
        self.in_chunks.store(true, Ordering::Release);
        followed && head.len() < MAX_HEAD
    }

    /// Whether the connection was broken off for its chunks.
    pub fn has_broken_chunks(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn follow_chunks(&self, bytes: &[u8]) -> io::Result<()> {
        self.chunks.lock().follow(bytes).map_err(|_| {
            self.broken.store(true, Ordering::Release);
            io::ErrorKind::InvalidData.into()
        })
    }

    /// `peer`, which must be the connection's, as a header value.
    pub fn peer_value(&self, peer: IpAddr) -> &HeaderValue {
        self.peer_value.get_or_init(|| super::forwarding::address_value(peer))
    }

    /// What was wrong with the head, if bytes came that no request was made of.
    pub fn fault(&self) -> Option<HeadFault> {
        let unread = self.in_head.load(Ordering::Acquire) && !self.head.lock().is_empty();
        unread.then(|| self.cut_off.get().copied().unwrap_or(HeadFault::Malformed))
    }

    /// Breaks the connection off.
    fn cut_off(&self, fault: HeadFault, kind: io::ErrorKind) -> Poll<io::Result<()>> {
        let _ = self.cut_off.set(fault);
        Poll::Ready(Err(kind.into()))
    }

    fn record(&self, bytes: &[u8]) {
        let mut head = self.head.lock();
        let room = MAX_HEAD - head.len();
        head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// A client's stream under watch. Everything but reading a head is handed through.
pub struct WatchedStream {
    stream: Stream,
    watch: Arc<Watch>,
    /// How a hook finds the watch: the one slot for our own data that reaches a session.
    digest: Arc<ProxyDigest>,
    deadline: Duration,
    /// Armed only while a head is incomplete after its first read.
    timer: Option<Pin<Box<Sleep>>>,
}

impl WatchedStream {
    /// # Errors
    /// Never in practice: the placeholder response inside the digest cannot be built.
    pub fn new(stream: Stream, deadline: Duration) -> pingora::Result<(Self, Arc<Watch>)> {
        let watch = Arc::new(Watch::new());
        let placeholder = Box::new(ResponseHeader::build_no_case(200, Some(0))?);
        let digest = Arc::new(ProxyDigest::new(placeholder, Some(Box::new(Arc::clone(&watch)))));
        let watched = Self { stream, watch: Arc::clone(&watch), digest, deadline, timer: None };
        Ok((watched, watch))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let so_far = self.watch.head.lock().len();
        if so_far >= MAX_HEAD {
            return self.watch.cut_off(HeadFault::TooLarge, io::ErrorKind::InvalidData);
        }
        if so_far == 0 {
            self.timer = None;
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                self.watch.record(&buf.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            // The head has begun, and the framework asks for more of it.
            Poll::Pending if so_far > 0 => self.poll_deadline(cx),
            other => other,
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let deadline = self.deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(deadline)));
        ready!(timer.as_mut().poll(cx));
        self.watch.cut_off(HeadFault::TooSlow, io::ErrorKind::TimedOut)
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.watch.in_head.load(Ordering::Acquire) {
            return this.poll_head(cx, buf);
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        if this.watch.in_chunks.load(Ordering::Acquire) {
            this.watch.follow_chunks(&buf.filled()[before..])?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for WatchedStream {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut *self.stream).await;
    }
}

#[async_trait]
impl Peek for WatchedStream {
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        self.stream.try_peek(buf).await
    }
}

impl UniqueID for WatchedStream {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for WatchedStream {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.stream.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for WatchedStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.stream.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.stream.get_write_pending_time()
    }
}

impl GetProxyDigest for WatchedStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

impl GetSocketDigest for WatchedStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.stream.set_socket_digest(digest);
    }
}

/// The head may hold a key, so nothing of it is shown.
impl fmt::Debug for WatchedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedStream").field("id", &self.stream.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn watched(deadline: Duration) -> (DuplexStream, WatchedStream, Arc<Watch>) {
        let (client, server) = duplex(256 * 1024);
        let (stream, watch) =
            WatchedStream::new(Box::new(server), deadline).expect("the placeholder is valid");
        (client, stream, watch)
    }

    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_head_that_dawdles_is_cut_off() {
        let (mut client, mut stream, watch) = watched(SOON);
        client.write_all(b"GET / HTTP/1.1\r\nHost: a").await.expect("the buffer has room");

        let mut buf = [0; 1024];
        assert!(stream.read(&mut buf).await.expect("the first bytes are there") > 0);
        let error = stream.read(&mut buf).await.expect_err("nothing more ever comes");

        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(watch.fault(), Some(HeadFault::TooSlow));
    }

    #[tokio::test]
    async fn waiting_for_a_request_is_no_dawdling() {
        let (_client, mut stream, _) = watched(SOON);
        let mut buf = [0; 16];
        let waited = tokio::time::timeout(SOON * 5, stream.read(&mut buf)).await;
        assert!(waited.is_err(), "the deadline starts with the first byte");
    }

    #[tokio::test]
    async fn a_slow_body_is_not_the_heads_business() {
        let (mut client, mut stream, watch) = watched(SOON);
        let head = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n";
        client.write_all(head).await.expect("the buffer has room");
        let mut buf = [0; 1024];
        let read = stream.read(&mut buf).await.expect("the head is there");

        assert!(watch.end_head(&buf[..read]));
        let waited = tokio::time::timeout(SOON * 5, stream.read(&mut buf)).await;
        assert!(waited.is_err(), "the body has time limits of its own");
    }

    #[tokio::test]
    async fn an_endless_head_is_cut_off() {
        let (mut client, mut stream, watch) = watched(LATE);
        client.write_all(&vec![b'a'; MAX_HEAD + 1]).await.expect("the buffer has room");

        let mut buf = vec![0; MAX_HEAD];
        stream.read_exact(&mut buf).await.expect("up to the limit");
        let error = stream.read(&mut buf).await.expect_err("the limit is reached");

        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(watch.fault(), Some(HeadFault::TooLarge));
    }

    #[tokio::test]
    async fn a_repaired_head_is_noticed() {
        let (mut client, mut stream, watch) = watched(LATE);
        client.write_all(b"GET /\"a HTTP/1.1\r\n\r\nbody").await.expect("the buffer has room");
        let mut buf = [0; 1024];
        assert!(stream.read(&mut buf).await.expect("the head is there") > 0);

        assert!(!watch.end_head(b"GET /%22a HTTP/1.1\r\n\r\n"));
        assert!(watch.end_head(b"GET /\"a HTTP/1.1\r\n\r\n"));
    }

    #[tokio::test]
    async fn chunks_are_followed_through_the_head_and_beyond() {
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (first, later, followed, read) in [
            (&b"2\r\nok"[..], &b"\r\n0\r\n\r\n"[..], true, true),
            (b"2 \r\nok", b"", false, true),
            (b"2\r\nok", b"\n0\r\n\r\n", true, false),
        ] {
            let (mut client, mut stream, watch) = watched(LATE);
            client.write_all(&[&head[..], first].concat()).await.expect("the buffer has room");
            let mut buf = [0; 1024];
            assert!(stream.read(&mut buf).await.expect("the head is there") > 0);
            assert!(watch.end_head(head));
            assert_eq!(watch.expect_chunks(head.len()), followed);
            if !later.is_empty() {
                client.write_all(later).await.expect("the buffer has room");
                assert_eq!(stream.read(&mut buf).await.is_ok(), read);
            }
            assert_eq!(watch.has_broken_chunks(), !read);
        }
    }

    #[tokio::test]
    async fn each_request_starts_a_head_of_its_own() {
        let (mut client, mut stream, watch) = watched(LATE);
        let mut buf = [0; 1024];
        for head in [&b"GET /1 HTTP/1.1\r\n\r\n"[..], b"GET /2 HTTP/1.1\r\n\r\n"] {
            watch.expect_head();
            client.write_all(head).await.expect("the buffer has room");
            let read = stream.read(&mut buf).await.expect("the head is there");
            assert!(watch.end_head(&buf[..read]));
            assert_eq!(watch.fault(), None);
        }
    }

    #[test]
    fn the_head_is_not_shown() {
        let (_, server) = duplex(64);
        let (stream, watch) =
            WatchedStream::new(Box::new(server), LATE).expect("the placeholder is valid");
        watch.record(b"X-API-Key: gp_live_secret");
        assert!(!format!("{stream:?}").contains("secret"));
    }
}
