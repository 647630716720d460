//! WebSocket where the route says so: both ways, for as long as both sides like.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::recorder::find;
use crate::support::gateway::{Gateway, Plan};

/// The key and its answer are those of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const ROUTES: &str = r#"
[[routes]]
name = "socket"
path = "/socket"
require = []
websocket = true
upstream = "echo"

[[routes]]
name = "plain"
path = "/plain"
require = []
upstream = "echo"

[[routes]]
name = "profile"
path = "/api/v1/profile"
methods = ["GET"]
require = []
upstream = "management"
"#;

/// A server that takes every upgrade and sends back what it is sent.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                head(&mut stream).await;
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: \
                     Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    addr
}

/// Reads up to the end of a head.
async fn head(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while find(&head, b"\r\n\r\n").is_none() {
        let byte = tokio::time::timeout(Duration::from_secs(5), stream.read_u8()).await;
        let Ok(Ok(byte)) = byte else { break };
        head.push(byte);
    }
    head
}

async fn knock(gateway: &Gateway, path: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(gateway.proxy).await.expect("it listens");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: a.example\r\nX-API-Key: {}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n",
        gateway.admin().text
    );
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let head = head(&mut stream).await;
    (stream, String::from_utf8_lossy(&head).into_owned())
}

/// A text frame from a client: masked, as every one of them must be.
fn frame(text: &str) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let length = u8::try_from(text.len()).expect("a short text") | 0x80;
    let masked = text.bytes().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x81, length].into_iter().chain(mask).chain(masked).collect()
}

#[tokio::test]
async fn frames_pass_both_ways_where_the_route_says_so() {
    let upstream = format!("\n[upstreams.echo]\nservers = [\"{}\"]\n", echo().await);
    let gateway = Plan::new().routes(ROUTES).extra(&upstream).start().await;

    let (mut stream, answer) = knock(&gateway, "/socket").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains(ACCEPT), "{answer}");
    for text in ["hello", "and again", "GET /public/smuggled HTTP/1.1\r\n\r\n"] {
        let sent = frame(text);
        stream.write_all(&sent).await.expect("it reads");
        let mut back = vec![0; sent.len()];
        let reading = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut back));
        reading.await.expect("in time").expect("all of it");
        assert_eq!(back, sent);
    }

    let (_, answer) = knock(&gateway, "/plain").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}
