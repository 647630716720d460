use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::gateway::{Gateway, Plan};

fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}Connection: close\r\n\r\n")
}

#[tokio::test]
async fn long_targets_and_large_heads_are_refused_by_name() {
    let gateway = Gateway::start().await;
    let long = format!("/files/{}", "a".repeat(9 * 1024));
    let answer = gateway.raw(get(&long, "").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
    assert!(answer.contains("uri_too_long"), "{answer}");

    let many: String = (0..120).map(|n| format!("X-{n}: v\r\n")).collect();
    let answer = gateway.raw(get("/health", &many).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");

    let large = format!("X-Large: {}\r\n", "v".repeat(40 * 1024));
    let answer = gateway.raw(get("/health", &large).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(gateway.upstream.count(), 0);
}

#[tokio::test]
async fn framing_that_two_parsers_could_read_two_ways_is_refused() {
    let gateway = Gateway::start().await;
    let key = &gateway.admin().text;
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 005\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5x\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ] {
        let request = format!(
            "POST /files/x HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n{framing}\r\n0\r\n\r\n"
        );
        let answer = gateway.raw(request.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or("closed");
        assert!(status == "400" || status == "closed", "{framing:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count().max(1), 1, "{framing:?}: {answer}");
    }
    for head in [
        "GET /health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
        "TRACE /health HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    ] {
        let answer = gateway.raw(head.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or("closed");
        assert!(status.starts_with('4') || status == "closed", "{head:?}: {answer}");
    }
    assert_eq!(gateway.upstream.count(), 0, "{:?}", gateway.upstream.seen());
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let gateway = Plan::new().extra("head_deadline = \"1s\"").start().await;
    let mut stream = TcpStream::connect(gateway.proxy).await.unwrap();
    let since = Instant::now();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    let mut ended = false;
    while !ended && since.elapsed() < Duration::from_secs(10) {
        // A byte every so often would keep a deadline per read from ever ending.
        let _ = stream.write_all(b"X").await;
        let mut buffer = [0u8; 512];
        let read = stream.read(&mut buffer);
        ended = match tokio::time::timeout(Duration::from_millis(200), read).await {
            Ok(Ok(0)) | Ok(Err(_)) => true,
            Ok(Ok(_)) | Err(_) => false,
        };
    }
    assert!(ended, "the connection is still open");
    assert_eq!(gateway.upstream.count(), 0);
}

#[tokio::test]
async fn a_body_over_the_routes_limit_is_refused() {
    let route = "\n[[routes]]\nname = \"small\"\npath = \"/small\"\nrequire = []\nmax_body = \
                 \"1KiB\"\nupstream = \"sample\"\n";
    let gateway = Plan::new().and_routes(route).start().await;
    let post = |size: usize| {
        let request = gateway.request(reqwest::Method::POST, "/small");
        request.header("x-api-key", &gateway.admin().text).body(vec![b'x'; size]).send()
    };
    assert_eq!(post(1024).await.unwrap().status(), 200);
    let refused = post(1025).await.unwrap();
    assert_eq!(refused.status(), 413);
    assert_eq!(gateway.upstream.count(), 1);
}

#[tokio::test]
async fn garbage_is_answered_or_closed_and_never_forwarded() {
    let gateway = Gateway::start().await;
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    for size in [1, 10, 100, 1_000, 100_000, 1_000_000] {
        let bytes: Vec<u8> = (0..size).map(|_| noise()).collect();
        if let Ok(mut stream) = TcpStream::connect(gateway.proxy).await {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let reading = stream.read_to_end(&mut answer);
            let _ = tokio::time::timeout(Duration::from_secs(15), reading).await;
            assert!(!answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
        }
    }
    for key in
        ["", " ", "gp_", "gp_live_", "\u{1F511}", &"g".repeat(20_000), "'; DROP TABLE users;--"]
    {
        let request = gateway.request(reqwest::Method::GET, "/api/v1/orders");
        let status = request.header("x-api-key", key).send().await.unwrap().status();
        assert!(status.is_client_error(), "{key:?}: {status}");
    }
    assert_eq!(gateway.upstream.count(), 0);
    assert_eq!(
        gateway.request(reqwest::Method::GET, "/health").send().await.unwrap().status(),
        200
    );
}
