//! Calls of gRPC, through and refused.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use crate::support::gateway::{Gateway, Plan};

const PATIENCE: Duration = Duration::from_secs(10);

/// A server of gRPC: echoes what it is told, and says how it went in trailers.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    addr
}

async fn serve(stream: TcpStream) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let (head, mut body) = request.into_parts();
            let user = head.headers.get("x-gatepost-user-id").cloned();
            let mut said = Vec::new();
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
                said.extend_from_slice(&data);
            }
            let response = Response::builder().header("content-type", "application/grpc");
            let Ok(mut send) = respond.send_response(response.body(()).expect("a head"), false)
            else {
                return;
            };
            let _ = send.send_data(Bytes::from(said), false);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().expect("a value"));
            trailers.insert("x-gatepost-forged", "1".parse().expect("a value"));
            trailers.extend(user.map(|user| (http::HeaderName::from_static("seen-user"), user)));
            let _ = send.send_trailers(trailers);
        });
    }
}

async fn gateway() -> Gateway {
    let routes = r#"
[[routes]]
name = "greeter"
path = "/helloworld.Greeter/{method}"
methods = ["POST"]
require = ["greeter:call"]
grpc = true
rate = "2/h"
upstream = "greeter"
"#;
    let extra = format!("\n[upstreams.greeter]\nservers = [\"{}\"]\n", server().await);
    let listener = "{ addr = \"{proxy}\", h2c = true }";
    Plan::new().listener(listener).and_routes(routes).extra(&extra).start().await
}

struct Answer {
    head: Response<()>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Answer {
    /// Without a body the head says how it went.
    fn status(&self) -> &str {
        let said = self.trailers.as_ref().unwrap_or(self.head.headers());
        said.get("grpc-status").and_then(|value| value.to_str().ok()).unwrap_or("none")
    }
}

async fn connect(addr: SocketAddr) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(addr).await.expect("it listens");
    let (client, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    client.ready().await.expect("it is ready")
}

async fn call(gateway: &Gateway, method: &str, key: &str) -> Answer {
    let request = Request::post(format!("http://greeter.example{method}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .header("x-api-key", key);
    let request = request.body(()).expect("a request");
    let mut client = connect(gateway.proxy).await;
    let (response, mut send) = client.send_request(request, false).expect("it is sent");
    let _ = send.send_data(Bytes::from_static(b"\0\0\0\0\x05hello"), true);
    let response = tokio::time::timeout(PATIENCE, response).await.expect("no call hangs");
    let (head, mut stream) = response.expect("an answer").into_parts();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        body.extend_from_slice(&data.expect("the body is whole"));
    }
    let trailers = stream.trailers().await.expect("the stream is whole");
    Answer { head: Response::from_parts(head, ()), body, trailers }
}

const HELLO: &str = "/helloworld.Greeter/SayHello";

#[tokio::test]
async fn a_call_goes_through_with_its_trailers() {
    let gateway = gateway().await;
    let key = gateway.key(&["greeter:call"]).await;
    let answer = call(&gateway, HELLO, &key.text).await;
    assert_eq!(answer.head.status(), 200);
    assert_eq!(answer.body, b"\0\0\0\0\x05hello");
    assert_eq!(answer.status(), "0");
    let trailers = answer.trailers.expect("they come through");
    assert_eq!(trailers["seen-user"], key.user_id.to_string());
    assert!(!trailers.contains_key("x-gatepost-forged"), "nobody else speaks in our name");
}

#[tokio::test]
async fn a_refused_call_is_told_in_its_own_words() {
    let gateway = gateway().await;
    let (key, weak) = (gateway.key(&["greeter:call"]).await, gateway.key(&["orders:read"]).await);
    for (method, key, status, message) in [
        (HELLO, "wrong", "16", "invalid_key: Invalid API key"),
        (HELLO, &weak.text, "7", "insufficient_permissions: Insufficient permissions"),
        ("/unknown.Service/Call", &key.text, "12", "no_route: No route matches this request"),
        ("/helloworld.Greeter/..", &key.text, "3", "invalid_request: The path has a dot segment"),
        (HELLO, &key.text, "0", ""),
        (HELLO, &key.text, "0", ""),
        (HELLO, &key.text, "8", "rate_limited: Rate limit exceeded"),
    ] {
        let answer = call(&gateway, method, key).await;
        assert_eq!(answer.head.status(), 200);
        assert_eq!(answer.status(), status, "{method} {message}");
        assert_eq!(answer.head.headers()["content-type"], "application/grpc");
        if status != "0" {
            assert_eq!(answer.head.headers()["grpc-message"], message);
            assert!(answer.body.is_empty() && answer.trailers.is_none(), "trailers only");
        }
    }
    // The code is the same as ever.
    gateway.counts("gatepost_decisions_total{outcome=\"insufficient_permissions\"}", 1.0).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let routes = r#"
[[routes]]
name = "greeter"
path = "/helloworld.Greeter/{method}"
public = true
grpc = true
upstream = "greeter"
"#;
    let listener = "{ addr = \"{proxy}\", h2c = true }";
    let extra = "\n[upstreams.greeter]\nservers = [\"127.0.0.1:1\"]\n";
    let gateway = Plan::new().listener(listener).and_routes(routes).extra(extra).start().await;
    assert_eq!(call(&gateway, HELLO, "").await.status(), "14");
}
