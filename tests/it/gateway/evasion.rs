//! Who wants more than their limits allow, and tries every way but asking for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Request;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::rates::{ORDERS, READ, header, key_of_tier};
use crate::support::gateway::{Gateway, Key, Plan};

const RATE: f64 = 100.0;

/// What the driver was answered.
#[derive(Default)]
struct Count {
    allowed: AtomicUsize,
    refused: AtomicUsize,
}

impl Count {
    fn note(&self, status: StatusCode) {
        match status {
            StatusCode::OK => self.allowed.fetch_add(1, Ordering::Relaxed),
            StatusCode::TOO_MANY_REQUESTS => self.refused.fetch_add(1, Ordering::Relaxed),
            other => panic!("{other}"),
        };
    }
}

/// A connection of HTTP/1.1 that asks again and again.
async fn over_http1(url: String, key: String, until: Instant, count: Arc<Count>) {
    let client = reqwest::Client::new();
    while Instant::now() < until {
        let answer = client.get(&url).header("x-api-key", &key).send().await;
        count.note(answer.expect("an answer").status());
    }
}

/// A connection of HTTP/2, twenty streams at a time.
async fn over_http2(gateway: std::net::SocketAddr, key: String, until: Instant, count: Arc<Count>) {
    let stream = TcpStream::connect(gateway).await.expect("it listens");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("it is HTTP/2");
    tokio::spawn(connection);
    while Instant::now() < until {
        let mut answers = JoinSet::new();
        for _ in 0..20 {
            let uri = format!("http://a.example{ORDERS}");
            let request = Request::get(uri).header("x-api-key", &key).body(()).expect("a request");
            client = client.ready().await.expect("room for a stream");
            answers.spawn(client.send_request(request, true).expect("it is sent").0);
        }
        for answer in answers.join_all().await {
            count.note(answer.expect("an answer").status());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_and_streams_get_no_more_than_one() {
    let tiers = format!("\n[tiers.fast]\nrate = \"{RATE}/s\"\n");
    let plan = Plan::new().listener("{ addr = \"{proxy}\", h2c = true }");
    let gateway = plan.extra(&tiers).start().await;
    let key = key_of_tier(&gateway, "fast").await;
    let keys = [&key, &gateway.key_of(key.user_id, READ, json!({})).await].map(|k| k.text.clone());
    let (count, start) = (Arc::new(Count::default()), Instant::now());
    let until = start + Duration::from_secs(3);
    let mut clients = JoinSet::new();
    for n in 0..64 {
        let (key, count) = (keys[n % 2].clone(), count.clone());
        clients.spawn(over_http1(format!("http://{}{ORDERS}", gateway.proxy), key, until, count));
    }
    for n in 0..8 {
        let (key, count) = (keys[n % 2].clone(), count.clone());
        clients.spawn(over_http2(gateway.proxy, key, until, count));
    }
    clients.join_all().await;
    let limit = RATE + RATE * start.elapsed().as_secs_f64();
    let (allowed, refused) =
        (count.allowed.load(Ordering::Relaxed), count.refused.load(Ordering::Relaxed));
    assert!(allowed as f64 <= 1.05 * limit, "{allowed} of {limit}");
    assert!(refused > allowed, "they tried: {refused} refused, {allowed} allowed");
    assert_eq!(gateway.upstream.count(), allowed);
}

#[tokio::test]
async fn nobody_evades_a_limit_by_claiming_another_address() {
    let route = "[[routes]]\nname = \"open\"\npath = \"/open\"\npublic = true\nupstream = \
                 \"sample\"\nrate = \"3/d\"\n";
    let gateway = Plan::new().and_routes(route).start().await;
    let mut passed = 0;
    for n in 0..20 {
        let mut request = gateway.request(Method::GET, "/open");
        for name in ["x-forwarded-for", "x-real-ip", "true-client-ip", "forwarded"] {
            let value = if name == "forwarded" { "for=" } else { "" };
            request = request.header(name, format!("{value}192.0.2.{n}"));
        }
        passed += usize::from(request.send().await.expect("an answer").status() == 200);
    }
    assert_eq!(passed, 3);
}

async fn wait_told(gateway: &Gateway, key: &Key) -> u64 {
    let response = gateway.get(ORDERS, key).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    header(&response, "retry-after").parse().expect("seconds")
}

/// Whatever the limits that refuse: the longest of the waits is told.
#[tokio::test]
async fn who_waits_as_told_passes() {
    let gateway = Plan::new().extra("\n[tiers.slow]\nrate = \"30/min\"\nburst = 1\n");
    let gateway = gateway.start().await;
    let key = key_of_tier(&gateway, "slow").await;
    let own = gateway.key_of(key.user_id, READ, json!({"rate": "1/s"})).await;
    assert_eq!(gateway.status(ORDERS, &own).await, StatusCode::OK);
    for _ in 0..3 {
        let wait = wait_told(&gateway, &own).await;
        assert!((1..=2).contains(&wait), "{wait}");
        tokio::time::sleep(Duration::from_secs(wait)).await;
        assert_eq!(gateway.status(ORDERS, &own).await, StatusCode::OK, "after {wait} s");
    }
}
