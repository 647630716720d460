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
