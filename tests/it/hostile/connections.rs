//! Connections: bounded in all and per source, and in step after every answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::arena::{Arena, get, statuses};
use super::recorder::Recorder;

const PATIENCE: Duration = Duration::from_secs(10);

/// Says `sent` and no more, and returns what comes back until the gateway closes.
pub async fn say_and_end(addr: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    let _ = stream.write_all(sent).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(reading.is_ok(), "{} hangs", sent.escape_ascii());
    answer
}

/// Says `sent` on an open connection and reads one whole answer, or nothing if it is closed.
async fn ask(stream: &mut TcpStream, sent: &[u8]) -> Option<u16> {
    stream.write_all(sent).await.ok()?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(b"ok") && !answer.ends_with(b"}") {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await;
        match read.expect("an answer or the end").ok()? {
            0 => return None,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    statuses(&answer).first().copied()
}

const PUBLIC: &[u8] = b"GET /public/a HTTP/1.1\r\nHost: a.example\r\n\r\n";
const REFUSED: &[u8] = b"GET /unknown HTTP/1.1\r\nHost: a.example\r\n\r\n";

#[tokio::test]
async fn answers_stay_in_step_on_one_connection() {
    let arena = Arena::open().await;
    let mut stream = TcpStream::connect(arena.gateway.proxy).await.unwrap();
    let body = b"POST /unknown HTTP/1.1\r\nHost: a.example\r\nContent-Length: 50\r\n\r\n\
        GET /public/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";
    for _ in 0..20 {
        assert_eq!(ask(&mut stream, PUBLIC).await, Some(200));
        assert_eq!(ask(&mut stream, REFUSED).await, Some(404));
        assert_eq!(ask(&mut stream, &body[..]).await, Some(404));
    }
    let arrived = String::from_utf8(arena.recorder.take()).unwrap();
    assert_eq!(arrived.matches("GET /public/a ").count(), 20);
    assert!(!arrived.contains("smuggled"));
}

#[tokio::test]
async fn a_connection_ends_after_a_thousand_requests() {
    let arena = Arena::open().await;
    let mut stream = TcpStream::connect(arena.gateway.proxy).await.unwrap();
    let mut served = 0;
    while served < 1_100 && ask(&mut stream, REFUSED).await.is_some() {
        served += 1;
    }
    assert!((999..=1_001).contains(&served), "{served}");
    arena.still_serves().await;
}

/// Whether the gateway serves on a new connection, and the connection.
async fn connect(arena: &Arena, from: [u8; 4]) -> Option<TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let mut stream = socket.connect(arena.gateway.proxy).await.ok()?;
    (ask(&mut stream, PUBLIC).await == Some(200)).then_some(stream)
}

#[tokio::test]
async fn one_source_cannot_take_all_connections() {
    let arena = Arena::with(Recorder::start().await, "max_connections_per_source = 5").await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(connect(&arena, [127, 0, 0, 2]).await.expect("there is room"));
    }
    assert!(connect(&arena, [127, 0, 0, 2]).await.is_none(), "the sixth of one source");
    assert!(connect(&arena, [127, 0, 0, 3]).await.is_some(), "a neighbour");
    assert!(arena.gateway.metric(REJECTED_SOURCE).await >= 1.0);
    drop(held.pop());
    assert!(comes_back(&arena, [127, 0, 0, 2]).await, "a place that was left is free again");
}

#[tokio::test]
async fn connections_are_bounded_in_all() {
    let arena = Arena::with(Recorder::start().await, "max_connections = 8").await;
    let mut held = Vec::new();
    for n in 0..20 {
        held.extend(connect(&arena, [127, 0, 1, n + 1]).await);
    }
    // Connections that only wait for their end may count for a moment.
    assert!((4..=8).contains(&held.len()), "{}", held.len());
    assert!(arena.gateway.metric(REJECTED_TOTAL).await >= 1.0);
    held.clear();
    assert!(comes_back(&arena, [127, 0, 0, 9]).await);
}

const REJECTED_SOURCE: &str = "gatepost_rejected_connections_total{reason=\"source\"}";
const REJECTED_TOTAL: &str = "gatepost_rejected_connections_total{reason=\"total\"}";

async fn comes_back(arena: &Arena, from: [u8; 4]) -> bool {
    for _ in 0..100 {
        if connect(arena, from).await.is_some() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn a_refused_upload_is_told_before_it_is_sent() {
    let arena = Arena::open().await;
    let mut stream = TcpStream::connect(arena.gateway.proxy).await.unwrap();
    let head = b"POST /admin HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\n\
        Content-Length: 1000000\r\n\r\n";
    assert_eq!(ask(&mut stream, head).await, Some(401), "no `100 Continue` comes first");
    assert!(arena.recorder.take().is_empty());
    let answer = arena.say(&get("/files/a")).await.unwrap();
    assert_eq!(statuses(&answer), [200]);
}
