//! Whole requests, from a client's bytes to an upstream's and back.

mod stand;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use stand::{Gateway, PATIENCE};

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[tokio::test]
async fn a_request_reaches_its_upstream_and_is_traceable() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask("GET /open?a=1", &[]).await;

    assert_eq!(status(&answer), "200", "{answer}");
    assert!(answer.ends_with("done"));
    assert!(answer.contains("X-Request-Id: "));
    let request = gateway.upstream.request();
    assert!(request.starts_with("get /open?a=1 http/1.1\r\n"));
    for header in
        ["x-request-id: ", "traceparent: 00-", "x-forwarded-for: ", "x-forwarded-proto: http"]
    {
        assert!(request.contains(header), "{header} in {request}");
    }
    assert!(request.contains("x-forwarded-host: a.example"));
}

#[tokio::test]
async fn a_client_cannot_speak_in_our_name() {
    let gateway = Gateway::start().await;
    let forged = [
        "X-Gatepost-User-Id: admin",
        "X_Gatepost_Key_Id: admin",
        "X-Forwarded-For: 10.9.9.9",
        "X-Original-URL: /admin",
        "X-Request-Id: mine",
    ];
    gateway.ask("GET /open", &forged).await;

    let request = gateway.upstream.request();
    for value in ["admin", "10.9.9.9", "mine"] {
        assert!(!request.contains(value), "{value} in {request}");
    }
}

#[tokio::test]
async fn connection_cannot_take_away_what_is_ours() {
    let gateway = Gateway::start().await;
    let request = "GET /open HTTP/1.1\r\nHost: a\r\nConnection: close, X-Request-Id, X-Hop\r\n\
        X-Hop: 1\r\n\r\n";
    gateway.say(request).await;

    let request = gateway.upstream.request();
    assert!(request.contains("x-request-id: "));
    assert!(!request.contains("x-hop"));
}

#[tokio::test]
async fn a_credential_stays_here() {
    let gateway = Gateway::start().await;
    gateway.ask("GET /open?a=1&key=gp_secret&b=2", &["X-API-Key: gp_secret"]).await;

    let request = gateway.upstream.request();
    assert!(request.starts_with("get /open?a=1&b=2 "), "{request}");
    assert!(!request.contains("secret"));
}

#[tokio::test]
async fn an_upstream_cannot_speak_in_our_name_either() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask("GET /open", &[]).await;
    assert!(!answer.contains("forged"));
    assert!(!answer.contains("timeout=1"), "that is about the upstream's connection");
}

#[tokio::test]
async fn a_refused_request_is_answered_here() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask("GET /unknown", &[]).await;
    assert_eq!(status(&answer), "404", "{answer}");
    assert!(answer.contains("application/problem+json"));
    assert!(answer.contains("no_route"));

    let answer = gateway.ask("HEAD /unknown", &[]).await;
    assert!(answer.ends_with("\r\n\r\n"), "no body for HEAD: {answer}");
    assert!(!gateway.upstream.was_asked());
}

#[tokio::test]
async fn a_connection_outlives_a_refusal_and_its_body() {
    let gateway = Gateway::start().await;
    let refused = "POST /unknown HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    let mut client = gateway.connect();
    client.write_all(refused.as_bytes()).await.expect("the buffer has room");
    let mut first = vec![0; 16];
    client.read_exact(&mut first).await.expect("an answer");
    let next = "GET /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    client.write_all(next.as_bytes()).await.expect("the buffer has room");
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.expect("the second answer");

    assert!(rest.contains("HTTP/1.1 200 OK"), "{rest}");
    assert!(gateway.upstream.request().starts_with("get /open "));
}

#[tokio::test]
async fn a_repaired_target_is_refused() {
    let gateway = Gateway::start().await;
    for target in ["/open?a=\"", "/open?\u{7f}", "/o\tpen"] {
        let answer = gateway.ask(&format!("GET {target}"), &[]).await;
        assert_eq!(status(&answer), "400", "{target}: {answer}");
    }
    assert!(!gateway.upstream.was_asked());
}

#[tokio::test]
async fn framing_that_reads_two_ways_ends_the_connection() {
    let gateway = Gateway::start().await;
    let smuggled = "POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
        Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /open HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = gateway.say(smuggled).await;

    assert_eq!(status(&answer), "400");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(!gateway.upstream.was_asked());
}

#[tokio::test]
async fn a_body_too_large_is_refused_however_it_comes() {
    let gateway = Gateway::start().await;
    let body = "x".repeat(17);
    let declared = format!(
        "POST /small HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 17\r\n\r\n{body}"
    );
    assert_eq!(status(&gateway.say(declared).await), "413");
    assert!(!gateway.upstream.was_asked());

    for path in ["/small", "/own/small"] {
        let chunked = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
            Transfer-Encoding: chunked\r\n\r\n11\r\n{body}\r\n0\r\n\r\n"
        );
        assert_eq!(status(&gateway.say(chunked).await), "413", "{path}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_away_is_a_502_of_ours() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask("GET /nowhere", &[]).await;
    assert_eq!(status(&answer), "502", "{answer}");
    assert!(answer.contains("upstream_unreachable"));
    assert!(answer.contains("Connection: close"));
}

#[tokio::test]
async fn only_what_is_safe_is_sent_again() {
    let gateway = Gateway::start().await;
    for (method, expected, sent) in [("GET", "200", 3), ("POST", "502", 2)] {
        gateway.upstream.requests.lock().clear();
        // The first leaves a pooled connection behind, which the second finds closed.
        assert_eq!(status(&gateway.ask("GET /fickle", &[]).await), "200");
        let length = if method == "POST" { &["Content-Length: 0"][..] } else { &[] };
        let answer = gateway.ask(&format!("{method} /fickle"), length).await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert_eq!(gateway.upstream.requests.lock().len(), sent, "{method}");
        // Leave no pooled connection to the next round.
        gateway.ask("POST /fickle", &["Content-Length: 0"]).await;
    }
}

#[tokio::test]
async fn a_websocket_passes_where_the_route_says_so() {
    let gateway = Gateway::start().await;
    let handshake = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    let answer = gateway.say(handshake("/open")).await;
    assert_eq!(status(&answer), "400", "{answer}");
    assert!(!gateway.upstream.was_asked());

    let answer = gateway.say(handshake("/socket")).await;
    assert_eq!(status(&answer), "101", "{answer}");
    assert!(answer.ends_with("hello"));
    assert!(gateway.upstream.request().contains("upgrade: websocket"));
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_and_the_request() {
    // A stream without a socket has no address of its own.
    let gateway = Gateway::trusting(&["0.0.0.0/32"]).await;
    let id = "0197d2f0-0000-7000-8000-000000000000";
    let told = [&*format!("X-Request-Id: {id}"), "X-Forwarded-For: 203.0.113.9"];
    let answer = gateway.ask("GET /open", &told).await;

    assert!(answer.contains(&format!("X-Request-Id: {id}")), "{answer}");
    let request = gateway.upstream.request();
    assert!(request.contains("x-forwarded-for: 203.0.113.9, 0.0.0.0"), "{request}");
}

#[tokio::test]
async fn a_built_in_upstream_is_served_here() {
    let gateway = Gateway::start().await;
    let request = "POST /own?key=gp_secret&b=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
        X-Kept: 1\r\nKeep-Alive: 1\r\nContent-Length: 4\r\n\r\nbody";
    let answer = gateway.say(request).await;

    assert_eq!(status(&answer), "200", "{answer}");
    assert!(answer.contains("POST /own?b=2 "));
    assert!(answer.contains("\"x-kept\": \"1\""));
    assert!(answer.contains("b\"body\""));
    assert!(!answer.contains("secret") && !answer.contains("\"keep-alive\""));
    assert!(!gateway.upstream.was_asked());
}

#[tokio::test]
async fn an_old_client_gets_one_answer_per_connection() {
    let gateway = Gateway::start().await;
    let request = "GET /open HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let answer = gateway.say(request).await;
    assert_eq!(status(&answer), "200", "{answer}");
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let gateway = Gateway::start().await;
    let answer = gateway.say("GET /open HTTP/1.1\r\nHost: a\r\n").await;
    assert_eq!(answer, "");
    assert!(!gateway.upstream.was_asked());
    let counted = "gatepost_rejected_heads_total{reason=\"too_slow\"} 1";
    assert!(gateway.metrics.render().contains(counted));
    assert_eq!(gateway.recorder.waiting(), 0, "there was no request to record");
}

#[tokio::test]
async fn clients_are_sent_elsewhere_while_draining() {
    let gateway = Gateway::start().await;
    gateway.health.leave();
    let answer = gateway.say("GET /open HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(answer.contains("Connection: close"));
}

#[tokio::test]
async fn every_request_is_recorded_once_and_then_over() {
    let gateway = Gateway::start().await;
    let requests =
        ["GET /open", "GET /unknown", "GET /nowhere", "GET /own", "GET /a\"b", "TRACE /open"];
    for request in requests {
        gateway.ask(request, &[]).await;
    }
    let settled = async {
        while gateway.in_flight.count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("every request is over");
    assert_eq!(gateway.recorder.waiting(), requests.len());
    assert_eq!(gateway.in_flight.started(), requests.len());
}
