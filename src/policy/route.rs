use std::time::Duration;

use http::{HeaderName, Method};

use super::PathPattern;
use crate::key::{Environment, Grants, KeyRecord, Permission};

/// One entry of the route map.
#[derive(Clone, Debug)]
pub struct Route {
    /// Unique; it is the metric label.
    pub name: Box<str>,
    pub path: PathPattern,
    /// `None` is any method. `GET` includes `HEAD`.
    pub methods: Option<MethodSet>,
    pub host: Option<HostPattern>,
    pub access: Access,
    /// The name of an upstream; `management` is built in.
    pub upstream: Box<str>,
    pub options: RouteOptions,
}

/// Absence is never everything: there is no default access.
#[derive(Clone, Debug)]
pub enum Access {
    Public,
    Require(Requirement),
}

#[derive(Clone, Debug)]
pub enum Requirement {
    /// All of these; none named means any valid key.
    All(Box<[Permission]>),
    /// At least one of these; never empty.
    Any(Box<[Permission]>),
}

impl Requirement {
    /// The permissions that let `key` through, or those it lacks.
    pub fn judge(&self, key: &KeyRecord) -> Result<Vec<Permission>, Vec<Permission>> {
        let _ = key;
        todo!()
    }

    /// The same question about a bare set of grants, for `explain` and the configuration's tests.
    pub fn judge_grants(&self, grants: &Grants) -> Result<Vec<Permission>, Vec<Permission>> {
        let _ = grants;
        todo!()
    }
}

#[derive(Clone, Debug, Default)]
pub struct RouteOptions {
    /// WebSocket upgrades are forwarded. Any other upgrade is refused everywhere.
    pub websocket: bool,
    /// Environments whose keys may pass; empty means any.
    pub environments: Box<[Environment]>,
    /// The largest request body, in bytes.
    pub max_body: Option<u64>,
    pub timeouts: Timeouts,
    /// The credential is forwarded instead of removed.
    pub forward_key: bool,
    /// The `admin` permission suffices, whatever else is required (management endpoints).
    pub admin_suffices: bool,
}

/// Upstream timeouts; `None` takes the upstream's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub read: Option<Duration>,
    pub write: Option<Duration>,
}

/// A set of methods registered with IANA.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MethodSet(Vec<Method>);

impl MethodSet {
    /// The methods given, and `HEAD` wherever `GET` is.
    pub fn new(methods: impl IntoIterator<Item = Method>) -> Self {
        let mut all: Vec<Method> = Vec::new();
        for method in methods {
            if method == Method::GET && !all.contains(&Method::HEAD) {
                all.push(Method::HEAD);
            }
            if !all.contains(&method) {
                all.push(method);
            }
        }
        all.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        Self(all)
    }

    pub fn contains(&self, method: &Method) -> bool {
        self.0.contains(method)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Method> {
        self.0.iter()
    }
}

/// An exact host name, lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern(Box<str>);

impl HostPattern {
    pub fn parse(text: &str) -> Option<Self> {
        let _ = text;
        todo!()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a key is taken from, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    Header(HeaderName),
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    Query(Box<str>),
    Cookie(Box<str>),
}

/// What the decision needs to know about credentials.
#[derive(Clone, Debug)]
pub struct CredentialRules {
    pub sources: Vec<KeySource>,
}

impl Default for CredentialRules {
    fn default() -> Self {
        Self {
            sources: vec![
                KeySource::Header(HeaderName::from_static("x-api-key")),
                KeySource::Bearer,
            ],
        }
    }
}
