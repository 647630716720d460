//! What the decision is measured on: a policy, requests, and a gate whose cache is warm.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use gatepost::config::{CacheSettings, LimitSettings, Tier};
use gatepost::decision::{Admission, Credential, Verdict};
use gatepost::directory::Directory;
use gatepost::events;
use gatepost::gate::Gate;
use gatepost::guard::Guard;
use gatepost::key::{MintedKey, Pattern, Permission, Quota, Rate};
use gatepost::limits::Limits;
use gatepost::lockout::Settings;
use gatepost::metrics::Metrics;
use gatepost::policy::{
    Access, CredentialRules, MethodSet, PathPattern, Policy, Requirement, Route, RouteOptions,
};
use gatepost::request::RequestView;
use http::{HeaderMap, HeaderValue, Method, Version, header};
use jiff::Timestamp;
use tokio::runtime::Runtime;

use crate::memory::MemoryStore;

const REQUIRED: &str = "orders:read";

/// The tier that all users have.
pub const TIER: &str = "bench";

/// The route that series are made for.
pub const ROUTE: &str = "route-0";

/// How long the directory may take to be ready.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Loads that wait at the same time while the cache is warmed.
const WARMED_TOGETHER: usize = 32;

/// A policy of `count` routes, shaped like a company's: services, versions, resources.
pub fn policy(count: usize) -> Policy {
    let routes = (0..count).map(route).collect();
    Policy::new(routes, CredentialRules::default(), "bench").expect("no two routes are alike")
}

fn route(number: usize) -> Route {
    let required = Permission::parse(REQUIRED).expect("a permission");
    Route {
        name: format!("route-{number}").into(),
        path: PathPattern::parse(&format!("{}/{{id}}", base(number))).expect("a path"),
        methods: Some(MethodSet::new([Method::GET])),
        host: None,
        access: Access::Require(Requirement::All([required].into())),
        upstream: "orders".into(),
        options: RouteOptions::default(),
    }
}

fn base(number: usize) -> String {
    format!("/service-{}/api/v1/resource-{}", number / 50, number % 50)
}

/// A request head as a client sends it.
pub struct Request {
    target: String,
    headers: HeaderMap,
    raw_head: Vec<u8>,
}

impl Request {
    /// Of a policy of `routes` routes, one in the middle, with `key`.
    pub fn new(routes: usize, key: &MintedKey) -> Self {
        let target = format!("{}/4711", base(routes / 2));
        let fields = [
            (header::HOST, "api.example.com"),
            (header::USER_AGENT, "curl/8.10.1"),
            (header::ACCEPT, "application/json"),
            ("x-api-key".parse().expect("a header name"), key.secret.reveal()),
        ];
        let mut raw_head = format!("GET {target} HTTP/1.1\r\n").into_bytes();
        let mut headers = HeaderMap::with_capacity(fields.len());
        for (name, value) in fields {
            raw_head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        }
        raw_head.extend_from_slice(b"\r\n");
        Self { target, headers, raw_head }
    }

    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &Method::GET,
            target: self.target.as_bytes(),
            authority: None,
            version: Version::HTTP_11,
            headers: &self.headers,
            raw_head: Some(&self.raw_head),
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        }
    }
}

/// A gate in front of keys that it knows already.
pub struct Warm {
    pub gate: Gate,
    limits: Arc<Limits>,
    pub directory: Arc<Directory>,
    pub keys: Vec<MintedKey>,
    pub store: Arc<MemoryStore>,
    pub metrics: Arc<Metrics>,
    /// What the directory grew by when it learned them, in bytes.
    pub grown_by: u64,
    /// Does the directory's work, as the control runtime does.
    pub runtime: Runtime,
}

impl Warm {
    pub fn new(count: usize) -> Self {
        let granted = Pattern::parse(REQUIRED).expect("a pattern");
        let (store, keys) = MemoryStore::with_keys(count, &granted);
        let settings = CacheSettings {
            max_keys: 2 * count as u64,
            ttl: Duration::from_secs(3600),
            serve_stale_for: Duration::from_secs(600),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread");
        let store = Arc::new(store);
        let metrics = Arc::new(Metrics::new(&[ROUTE]));
        let before = resident();
        let directory = runtime.block_on(async {
            let directory = Directory::new(store.clone(), &settings, metrics.clone());
            tokio::spawn(Arc::clone(&directory).follow());
            ready(&directory).await;
            warm(&directory, &keys).await;
            directory
        });
        let grown_by = resident().saturating_sub(before);
        let limits = runtime.block_on(async {
            Limits::new(store.clone(), &limits(), metrics.clone()).expect("there is no backend")
        });
        let (events, _) = events::pipeline(store.clone(), Vec::new(), "bench", metrics.clone());
        let guard = Guard::new(Settings::default(), events);
        let gate = Gate::new(Arc::clone(&directory), guard, Arc::clone(&limits));
        Self { gate, limits, directory, keys, store, metrics, grown_by, runtime }
    }

    /// A cached key never waits, so one poll is the whole of it.
    pub fn admit(&self, request: &Request, policy: &Policy) -> Verdict {
        let view = request.view();
        at_once(self.gate.admit(&view, policy))
    }

    /// The last step of it.
    pub fn limit(&self, admission: Admission, client: IpAddr, now: Timestamp) -> Verdict {
        at_once(self.limits.admit(admission, client, now))
    }
}

fn at_once(admitting: impl Future<Output = Verdict>) -> Verdict {
    match pin!(admitting).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => verdict,
        Poll::Pending => panic!("a cached key had to wait"),
    }
}

/// A tier that nobody reaches the end of: every admission is charged to the rate of its user.
fn limits() -> LimitSettings {
    let rate = Rate::parse("1000000/s");
    let tier = Tier { name: TIER.into(), rate, quota: Quota::Unlimited };
    LimitSettings { tiers: vec![tier], max_limiters: 2_000_000, ..LimitSettings::default() }
}

pub fn credential(key: &MintedKey) -> Credential {
    Credential::Minted { lookup_id: key.lookup_id, digest: key.digest }
}

async fn ready(directory: &Directory) {
    let deadline = Instant::now() + START_PATIENCE;
    while !directory.is_ready() {
        assert!(Instant::now() < deadline, "the directory does not become ready");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn warm(directory: &Arc<Directory>, keys: &[MintedKey]) {
    for some in keys.chunks(WARMED_TOGETHER) {
        let mut loads = tokio::task::JoinSet::new();
        for key in some {
            let (directory, credential) = (Arc::clone(directory), credential(key));
            loads.spawn(async move { directory.find(&credential).await });
        }
        loads.join_all().await;
    }
}

/// This process's resident memory, in bytes.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
}
