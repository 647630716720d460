//! Requests, routes and keys in a few words.

use std::net::IpAddr;
use std::sync::Arc;

use gatepost::decision::{Admission, Answer, Opening, Refusal, open};
use gatepost::key::{
    Digest, Environment, Grants, IdKey, KeyRecord, MintedKey, Owner, Pattern, Permission,
};
use gatepost::policy::{
    Access, CredentialRules, HostPattern, MethodSet, PathPattern, Policy, Requirement, Route,
    RouteOptions,
};
use gatepost::request::RequestView;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use jiff::Timestamp;
use uuid::Uuid;

/// When everything here happens.
pub const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

pub fn later() -> Timestamp {
    Timestamp::constant(1_790_000_001, 0)
}

pub fn id_key() -> IdKey {
    IdKey::from_bytes([7; 32])
}

pub fn mint() -> MintedKey {
    MintedKey::new(&Environment::default(), &id_key()).expect("randomness")
}

pub fn grants(patterns: &[&str]) -> Grants {
    patterns.iter().map(|text| Pattern::parse(text).expect(text)).collect()
}

pub fn permissions(names: &[&str]) -> Box<[Permission]> {
    names.iter().map(|text| Permission::parse(text).expect(text)).collect()
}

/// A key in good order, whose owner may do everything.
pub fn record(minted: &MintedKey, patterns: &[&str]) -> KeyRecord {
    KeyRecord {
        id: Uuid::from_u128(1),
        lookup_id: Some(minted.lookup_id),
        digest: Digest::of(minted.secret.reveal().as_bytes()),
        name: "a key".into(),
        environment: Environment::default(),
        permissions: grants(patterns),
        allowed_ips: Box::default(),
        expires_at: None,
        disabled: false,
        revoked_at: None,
        rate: None,
        quota: None,
        owner: Owner {
            id: Uuid::from_u128(2),
            email: "owner@example.com".into(),
            tier: None,
            lock: None,
            disabled: false,
            roles: ["admin".into()].into(),
            grants: grants(&["*"]),
        },
    }
}

/// `GET /path`, `/path` for any method, `GET,POST host/path`; requires nothing but a key.
pub fn route(text: &str) -> Route {
    let (methods, target) = match text.split_once(' ') {
        Some((methods, target)) => {
            let methods = methods.split(',').map(|name| name.parse().expect(name));
            (Some(MethodSet::new(methods)), target)
        }
        None => (None, text),
    };
    let (host, path) = target.split_at(target.find('/').expect("a path"));
    Route {
        name: text.into(),
        path: PathPattern::parse(path).expect(path),
        methods,
        host: HostPattern::parse(host),
        access: Access::Require(Requirement::All(Box::default())),
        upstream: "upstream".into(),
        options: RouteOptions::default(),
    }
}

pub trait RouteExt: Sized {
    fn public(self) -> Route;
    fn all_of(self, names: &[&str]) -> Route;
    fn any_of(self, names: &[&str]) -> Route;
    fn with(self, change: impl FnOnce(&mut RouteOptions)) -> Route;
}

impl RouteExt for Route {
    fn public(self) -> Route {
        Route { access: Access::Public, ..self }
    }

    fn all_of(self, names: &[&str]) -> Route {
        Route { access: Access::Require(Requirement::All(permissions(names))), ..self }
    }

    fn any_of(self, names: &[&str]) -> Route {
        Route { access: Access::Require(Requirement::Any(permissions(names))), ..self }
    }

    fn with(mut self, change: impl FnOnce(&mut RouteOptions)) -> Route {
        change(&mut self.options);
        self
    }
}

pub fn policy(routes: impl IntoIterator<Item = Route>) -> Policy {
    policy_with(routes, CredentialRules::default())
}

pub fn policy_with(routes: impl IntoIterator<Item = Route>, rules: CredentialRules) -> Policy {
    Policy::new(routes.into_iter().collect(), rules, "test").expect("routes without conflict")
}

/// One request, as a door would show it.
pub struct Request {
    pub method: Method,
    pub target: Vec<u8>,
    pub authority: Option<String>,
    pub version: Version,
    pub headers: HeaderMap,
    pub raw_head: Option<Vec<u8>>,
    pub client: IpAddr,
}

impl Request {
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        let host = (http::header::HOST, HeaderValue::from_static("api.test"));
        Self {
            method: method.parse().expect("a method"),
            target: target.as_ref().to_vec(),
            authority: None,
            version: Version::HTTP_11,
            headers: HeaderMap::from_iter([host]),
            raw_head: None,
            client: IpAddr::from([192, 0, 2, 7]),
        }
    }

    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    /// As the proxy sees it: the bytes of the wire, beside what a tolerant framework makes of them.
    pub fn from_wire(head: impl AsRef<[u8]>) -> Self {
        let head = head.as_ref();
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let mut words = lines.by_ref().find(|line| !line.is_empty()).unwrap_or("").split(' ');
        let method = words.next().unwrap_or("GET");
        let mut request = Self::new(method, words.next().unwrap_or("/"));
        request.version = match words.next() {
            Some("HTTP/1.0") => Version::HTTP_10,
            _ => Version::HTTP_11,
        };
        request.headers = lines.filter_map(tolerant_header).collect();
        request.raw_head = Some(head.to_vec());
        request
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name: HeaderName = name.parse().expect(name);
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).expect("a value"));
        self
    }

    pub fn host(mut self, host: &str) -> Self {
        self.headers.insert(http::header::HOST, host.parse().expect(host));
        self
    }

    pub fn key(self, key: &MintedKey) -> Self {
        self.header("x-api-key", key.secret.reveal())
    }

    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            target: &self.target,
            authority: self.authority.as_deref(),
            version: self.version,
            headers: &self.headers,
            raw_head: self.raw_head.as_deref(),
            client: self.client,
        }
    }

    /// The verdict, where `answer` is what the directory finds.
    pub fn judge(&self, policy: &Policy, answer: Answer) -> Result<Admission, Refusal> {
        match open(&self.view(), policy) {
            Opening::Deny(refusal) => Err(refusal),
            Opening::Allow(admission) => Ok(admission),
            Opening::Ask(question) => question.close(answer, &self.view(), NOW),
        }
    }

    /// `allow`, the code of the denial, or `asks` where a key would have to be found.
    pub fn opening(&self, policy: &Policy) -> &'static str {
        match open(&self.view(), policy) {
            Opening::Deny(refusal) => refusal.denial.code(),
            Opening::Allow(_) => "allow",
            Opening::Ask(_) => "asks",
        }
    }
}

fn tolerant_header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

pub fn code(verdict: &Result<Admission, Refusal>) -> &'static str {
    match verdict {
        Ok(_) => "allow",
        Err(refusal) => refusal.denial.code(),
    }
}

pub fn known(record: KeyRecord) -> Answer {
    Answer::Known(Arc::new(record))
}
