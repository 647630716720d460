use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::gateway::Gateway;

#[tokio::test]
async fn a_response_streams_through() {
    let gateway = Gateway::start().await;
    let since = Instant::now();
    let mut response = gateway.get("/files/drip", gateway.admin()).await;
    let first = response.chunk().await.unwrap().expect("a chunk");
    assert_eq!(&first[..], b"chunk 0\n");
    let first_after = since.elapsed();
    let mut rest = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        rest.extend_from_slice(&chunk);
    }
    assert!(rest.ends_with(b"chunk 9\n"));
    assert!(first_after * 2 < since.elapsed(), "the first chunk did not wait for the last");
}

#[tokio::test]
async fn bodies_of_any_kind_arrive_whole() {
    let gateway = Gateway::start().await;
    let key = gateway.admin();
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let echo = gateway.request(Method::POST, "/files/echo").header("x-api-key", &key.text);
    let echo = echo.body(body.clone()).send().await.unwrap();
    assert_eq!(echo.bytes().await.unwrap(), body);
    let big = gateway.get("/files/big", key).await;
    assert_eq!(big.bytes().await.unwrap().len(), 4 << 20);
}

#[tokio::test]
async fn a_chunked_upload_arrives_whole() {
    let gateway = Gateway::start().await;
    let head = format!(
        "POST /files/echo HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nTransfer-Encoding: \
         chunked\r\nConnection: close\r\n\r\n",
        gateway.admin().text
    );
    let mut stream = TcpStream::connect(gateway.proxy).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    for word in ["hello ", "streaming ", "world"] {
        let chunk = format!("{:x}\r\n{word}\r\n", word.len());
        stream.write_all(chunk.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(&gateway.upstream.last().body[..], b"hello streaming world");
}

#[tokio::test]
async fn a_refused_upload_does_not_disturb_the_next_request() {
    let gateway = Gateway::start().await;
    let mut stream = TcpStream::connect(gateway.proxy).await.unwrap();
    let smuggled = "GET /health HTTP/1.1\r\nHost: smuggled\r\n\r\n";
    let refused = format!(
        "POST /api/v1/orders HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    );
    stream.write_all(refused.as_bytes()).await.unwrap();
    let answer = crate::support::gateway::read_quiet(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "the body is no request: {answer}");
    assert_eq!(gateway.upstream.count(), 0);
}
