//! The data plane between a client and an upstream, both played by the test.

use std::net::SocketAddr;
use std::path::Path;

use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use pingora::apps::ServerApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::*;
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

pub const PATIENCE: Duration = Duration::from_secs(10);

/// A data plane in front of one upstream, without a socket of its own.
pub struct Gateway {
    pub door: Arc<Door>,
    pub health: Arc<Health>,
    pub in_flight: InFlight,
    pub metrics: Arc<Metrics>,
    pub recorder: Recorder,
    pub upstream: Origin,
    _dir: tempfile::TempDir,
    _shutdown: watch::Sender<bool>,
    pub shutdown: watch::Receiver<bool>,
}

/// An upstream that remembers what it was sent, and answers `200 done`.
#[derive(Clone)]
pub struct Origin {
    pub address: SocketAddr,
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    pub async fn start() -> Self {
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
    pub fn request(&self) -> String {
        let requests = self.requests.lock();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].to_ascii_lowercase()
    }

    pub fn was_asked(&self) -> bool {
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
    pub async fn start() -> Self {
        Self::trusting(&[]).await
    }

    pub async fn trusting(trusted: &[&str]) -> Self {
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

    pub fn connect(&self) -> DuplexStream {
        let (client, server) = duplex(1024 * 1024);
        let (door, shutdown) = (Arc::clone(&self.door), self.shutdown.clone());
        tokio::spawn(async move { door.process_new(Box::new(server), &shutdown).await });
        client
    }

    /// Everything that comes back for `request` until the gateway closes.
    pub async fn say(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.write_all(request.as_ref()).await.expect("the buffer has room");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, client.read_to_end(&mut answer)).await;
        read.expect("the gateway closes in time").expect("the answer is read");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A request of its own connection.
    pub async fn ask(&self, line: &str, headers: &[&str]) -> String {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        self.say(format!(
            "{line} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{headers}\r\n"
        ))
        .await
    }
}
