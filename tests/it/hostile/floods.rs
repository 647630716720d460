//! Floods within HTTP/2: what costs a client a few bytes must not cost the gateway more.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::arena::{Arena, get, statuses};
use super::http2::{asked_and_cancelled, frame, h2c};
use super::recorder::Recorder;
use crate::support::gateway::{Gateway, Plan};

const PATIENCE: Duration = Duration::from_secs(10);

/// More than any of these may take.
const MEMORY: u64 = 64 << 20;

const HEADERS: u8 = 1;
const DATA: u8 = 0;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET /public/a` of `a.example`, by the static table of HPACK.
const HEAD: &[u8] = b"\x82\x86\x04\x09/public/a\x01\x09a.example";

fn asked(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, HEAD)
}

/// A header that is remembered, and then named over and over by one byte each.
fn bomb() -> Vec<u8> {
    let value = vec![b'a'; 3_000];
    // A literal with indexing; lengths beyond 127 go on in sevens.
    let header = [b"\x40\x01x\x7f\xb9\x16", &value[..]].concat();
    let head = [HEAD, &header, &[0xbe; 8_000]].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)
}

fn streams(frames: fn(u32) -> Vec<u8>) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
    Box::new((1..20_000).step_by(2).map(frames))
}

fn after(first: Vec<u8>, then: Vec<u8>) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
    Box::new(std::iter::once(first).chain(std::iter::repeat_n(then, 50_000)))
}

type Flood = (&'static str, fn() -> Box<dyn Iterator<Item = Vec<u8>> + Send>);

/// Each ends its own connection.
const FLOODS: &[Flood] = &[
    ("rapid reset", || streams(asked_and_cancelled)),
    ("a window of nothing makes us reset", || {
        streams(|n| [asked(n), frame(WINDOW_UPDATE, 0, n, &[0; 4])].concat())
    }),
    ("a window too large makes us reset", || {
        streams(|n| [asked(n), frame(WINDOW_UPDATE, 0, n, b"\x7f\xff\xff\xff")].concat())
    }),
    ("a body after the end makes us reset", || {
        streams(|n| [asked(n), frame(DATA, 0, n, b"x")].concat())
    }),
    ("a reset of what never was", || streams(|n| frame(RST_STREAM, 0, n, &[0; 4]))),
    ("continuations without end", || {
        let header = [b"\x00\x01x\x7f\x81\x07".as_slice(), &[b'a'; 1_024]].concat();
        after(frame(HEADERS, 0, 1, HEAD), frame(CONTINUATION, 0, 1, &header))
    }),
    ("continuations of nothing", || {
        after(frame(HEADERS, 0, 1, HEAD), frame(CONTINUATION, 0, 1, b""))
    }),
    ("a bomb of headers", || after(bomb(), asked(3))),
    ("data of nothing", || {
        let post = [b"\x83", &HEAD[1..]].concat();
        after(frame(HEADERS, END_HEADERS, 1, &post), frame(DATA, 0, 1, b"").repeat(10))
    }),
];

/// What the gateway holds in memory.
fn memory(gateway: &Gateway) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", gateway.pid())).expect("it runs");
    let pages: u64 = statm.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a number");
    pages * 4096
}

async fn begin(arena: &Arena, settings: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(arena.gateway.proxy).await.expect("it listens");
    let hello =
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, settings)[..]].concat();
    stream.write_all(&hello).await.expect("it reads");
    stream
}

/// Sends until the gateway has had enough; whether it ever has.
async fn ends(arena: &Arena, frames: Box<dyn Iterator<Item = Vec<u8>> + Send>) -> bool {
    let (mut read, mut write) = begin(arena, b"").await.into_split();
    let closed = tokio::spawn(async move {
        let mut sink = tokio::io::sink();
        // A reset is an end as well.
        let _ = tokio::io::copy(&mut read, &mut sink).await;
    });
    for frames in frames {
        if closed.is_finished() || write.write_all(&frames).await.is_err() {
            break;
        }
    }
    tokio::time::timeout(PATIENCE, closed).await.is_ok()
}

#[tokio::test]
async fn each_flood_ends_its_connection_and_nothing_else() {
    let arena = h2c().await;
    arena.still_serves().await;
    let before = memory(&arena.gateway);
    for (name, frames) in FLOODS {
        assert!(ends(&arena, frames()).await, "{name}: the connection goes on");
        let taken = memory(&arena.gateway).saturating_sub(before);
        assert!(taken < MEMORY, "{name}: {taken} bytes");
        arena.still_serves().await;
    }
}

/// They are answered, one by one, and a client that does not read the answers has to wait.
#[tokio::test]
async fn settings_and_pings_without_end_take_no_memory() {
    let arena = h2c().await;
    arena.still_serves().await;
    let before = memory(&arena.gateway);
    for flood in [frame(SETTINGS, 0, 0, b"").repeat(500), frame(PING, 0, 0, &[7; 8]).repeat(500)] {
        let mut stream = begin(&arena, b"").await;
        let sending = async {
            for _ in 0..2_000 {
                if stream.write_all(&flood).await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), sending).await;
        let taken = memory(&arena.gateway).saturating_sub(before);
        assert!(taken < MEMORY, "{taken} bytes");
        arena.still_serves().await;
    }
}

/// Large answers that nobody takes: no more than a buffer of each is held.
#[tokio::test]
async fn a_window_that_never_opens_holds_little() {
    fn large(_: &str) -> Vec<u8> {
        let body = vec![b'x'; 4 << 20];
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body]
            .concat()
    }
    let plan = Plan::new().listener("{ addr = \"{proxy}\", h2c = true }");
    let arena = Arena::planned(plan, Recorder::saying(large).await, "").await;
    let before = memory(&arena.gateway);
    // SETTINGS_INITIAL_WINDOW_SIZE is 0.
    let mut stream = begin(&arena, &[0, 4, 0, 0, 0, 0]).await;
    for n in (1..200).step_by(2) {
        stream.write_all(&asked(n)).await.expect("it reads");
    }
    let mut heads = [0; 4096];
    assert!(stream.read(&mut heads).await.expect("it answers") > 0);
    let unknown = get("/unknown");
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let taken = memory(&arena.gateway).saturating_sub(before);
        assert!(taken < MEMORY, "{taken} bytes for 400 MiB of answers");
        assert_eq!(statuses(&arena.say(&unknown).await.expect("an answer")), [404]);
    }
}
