//! Whole requests, from a client's bytes to an upstream's and back.

use std::net::SocketAddr;
use std::path::Path;

use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use pingora::apps::ServerApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;
use crate::assertion::Assertions;
use crate::config::{
    Balance, CacheSettings, LimitSettings, Listen, ProxySettings, Server, StoreSettings, StoreUrl,
    Upstream, UsageSettings,
};
use crate::directory::Directory;
use crate::events;
use crate::guard::Guard;
use crate::limits::Limits;
use crate::lockout;
use crate::policy::{Access, CredentialRules, KeySource, PathPattern, Policy, Route, RouteOptions};
use crate::secret_key::{SecretKey, SecretKeys};
use crate::store::{self, Store};
use crate::usage;

const PATIENCE: Duration = Duration::from_secs(10);

/// A data plane in front of one upstream, without a socket of its own.
struct Gateway {
    door: Arc<Door>,
    health: Arc<Health>,
    in_flight: InFlight,
    metrics: Arc<Metrics>,
    recorder: Recorder,
    upstream: Origin,
    _dir: tempfile::TempDir,
    _shutdown: watch::Sender<bool>,
    shutdown: watch::Receiver<bool>,
}

/// An upstream that remembers what it was sent, and answers `200 done`.
#[derive(Clone)]
struct Origin {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&seen)));
            }
        });
        Self { address, requests }
    }

    /// The head of the only request that came.
    fn request(&self) -> String {
        let requests = self.requests.lock();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].to_ascii_lowercase()
    }

    fn was_asked(&self) -> bool {
        !self.requests.lock().is_empty()
    }
}

async fn answer(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut served = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let request = String::from_utf8_lossy(&buffer[..read]).into_owned();
        let (fickle, upgrade) = (request.contains("/fickle"), request.contains("/socket"));
        seen.lock().push(request);
        // Closing upon the second request is what a client of a pool sees of an idle timeout.
        if fickle && served > 0 {
            return;
        }
        served += 1;
        let answer: &[u8] = match upgrade {
            true => {
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                Upgrade: websocket\r\n\r\nhello"
            }
            false => {
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Gatepost-User-Id: forged\r\n\
                Keep-Alive: timeout=1\r\n\r\ndone"
            }
        };
        if stream.write_all(answer).await.is_err() || upgrade {
            return;
        }
    }
}

fn public(path: &str, upstream: &str, options: RouteOptions) -> Route {
    Route {
        name: path.into(),
        path: PathPattern::parse(path).expect("a path"),
        methods: None,
        host: None,
        access: Access::Public,
        upstream: upstream.into(),
        options,
    }
}

fn policy() -> Policy {
    let small = || RouteOptions { max_body: Some(16), ..RouteOptions::default() };
    let routes = vec![
        public("/open", "orders", RouteOptions::default()),
        public("/small", "orders", small()),
        public("/fickle", "orders", RouteOptions::default()),
        public("/socket", "orders", RouteOptions { websocket: true, ..RouteOptions::default() }),
        public("/nowhere", "away", RouteOptions::default()),
        public("/own", "management", RouteOptions::default()),
        public("/own/small", "management", small()),
    ];
    let mut rules = CredentialRules::default();
    rules.sources.push(KeySource::Query("key".into()));
    Policy::new(routes, rules, "orders").expect("no two routes are equal")
}

fn settings(trusted: &[&str]) -> ProxySettings {
    ProxySettings {
        listen: Vec::new(),
        max_connections: 1_000,
        max_connections_per_source: 1_000,
        trusted_proxies: trusted.iter().map(|net| net.parse().expect("a network")).collect(),
        head_deadline: Duration::from_millis(50),
        grace: Duration::from_secs(1),
        threads: 1,
        keepalive: Duration::from_secs(10),
    }
}

fn upstream(name: &str, address: SocketAddr) -> Upstream {
    let addr = address.to_string();
    Upstream {
        name: name.into(),
        servers: vec![Server { addr, weight: 1, tls: false, sni: None }],
        balance: Balance::RoundRobin,
        health_check: None,
        connect_timeout: PATIENCE,
        read_timeout: PATIENCE,
        write_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        identity: Vec::new(),
    }
}

/// Says what it was asked.
fn echo() -> InProcess {
    Arc::new(|request, _| {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let text = format!("{} {} {:?} {body:?}", parts.method, parts.uri, parts.headers);
            let body = Full::from(text).map_err(|never| match never {});
            http::Response::new(body.boxed_unsync())
        })
    })
}

async fn open_store(dir: &Path) -> Arc<dyn Store> {
    let url = StoreUrl::Sqlite(dir.join("gatepost.db"));
    store::migrate::up(&url).await.expect("the schema is made");
    let settings = StoreSettings { url, migrate_on_start: true, pool: 1 };
    store::open(&settings, store::Access::Serving, (&secrets()).into())
        .await
        .expect("the store opens")
}

fn secrets() -> SecretKeys {
    SecretKeys {
        current: SecretKey::parse("2f6b1c9e84d07a35b8e1f4029c7d6a5031e8b7f2").expect("a secret"),
        previous: None,
    }
}

impl Gateway {
    async fn start() -> Self {
        Self::trusting(&[]).await
    }

    async fn trusting(trusted: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open_store(dir.path()).await;
        let metrics = Arc::new(Metrics::new(&[]));
        let cache = CacheSettings { max_keys: 16, ttl: PATIENCE, serve_stale_for: PATIENCE };
        let directory = Directory::new(Arc::clone(&store), &cache, Arc::clone(&metrics));
        let spool = tempfile::tempdir().expect("a temporary folder");
        let spooled = UsageSettings::new(spool.path().to_owned());
        let limits = Limits::new(Arc::clone(&store), &LimitSettings::default(), metrics.clone());
        let limits = limits.expect("there is no backend");
        let (events, _) = events::pipeline(Arc::clone(&store), vec![], "test", metrics.clone());
        let guard = Guard::new(lockout::Settings::default(), events);
        let (recorder, _) =
            usage::pipeline(store, &spooled, Arc::clone(&metrics)).expect("a spool");
        let health = Health::new(Arc::clone(&directory), recorder.clone());
        let seen = Origin::start().await;
        let nobody = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let away = nobody.local_addr().expect("it is bound");
        drop(nobody);
        let upstreams = vec![upstream("orders", seen.address), upstream("away", away)];
        let (live, _) = Live::new(policy(), upstreams, settings(trusted)).expect("they are valid");
        let parts = Parts {
            gate: Arc::new(Gate::new(directory, guard, limits)),
            live: Arc::new(ArcSwap::from_pointee(live)),
            recorder,
            metrics,
            health: Arc::clone(&health),
            assertions: Arc::new(Assertions::new(&secrets())),
            in_process: echo(),
            node: "test".into(),
            max_connections: 1_000,
        };
        let proxy = Proxy::new(parts);
        let in_flight = proxy.in_flight.clone();
        let (metrics, recorder) = (Arc::clone(&proxy.metrics), proxy.recorder.clone());
        let inside = Inside::new(&Arc::new(ServerConf::default()), proxy, 1_000);
        let listen =
            Listen { addr: SocketAddr::from(([127, 0, 0, 1], 0)), certificate: None, h2c: false };
        let door = Arc::new(Door::new(&inside, &listen).expect("there is no certificate"));
        let (_shutdown, shutdown) = watch::channel(false);
        Self {
            door,
            health,
            in_flight,
            metrics,
            recorder,
            upstream: seen,
            _dir: dir,
            _shutdown,
            shutdown,
        }
    }

    fn connect(&self) -> DuplexStream {
        let (client, server) = duplex(1024 * 1024);
        let (door, shutdown) = (Arc::clone(&self.door), self.shutdown.clone());
        tokio::spawn(async move { door.process_new(Box::new(server), &shutdown).await });
        client
    }

    /// Everything that comes back for `request` until the gateway closes.
    async fn say(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.write_all(request.as_ref()).await.expect("the buffer has room");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, client.read_to_end(&mut answer)).await;
        read.expect("the gateway closes in time").expect("the answer is read");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A request of its own connection.
    async fn ask(&self, line: &str, headers: &[&str]) -> String {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        self.say(format!(
            "{line} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{headers}\r\n"
        ))
        .await
    }
}

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
