use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::{Cors, Exceptions, HostPattern, MethodSet, PathPattern};
use crate::key::{Environment, Grants, KeyRecord, Permission, Rate};

/// One entry of the route map.
#[derive(Clone, Debug)]
pub struct Route {
    /// Unique; it is the metric label.
    pub name: Arc<str>,
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
    /// The permissions named, whether all or one of them are needed.
    pub fn permissions(&self) -> &[Permission] {
        match self {
            Requirement::All(permissions) | Requirement::Any(permissions) => permissions,
        }
    }

    /// The permissions that let `key` through, or those it lacks.
    pub fn judge(&self, key: &KeyRecord) -> Result<Vec<Permission>, Vec<Permission>> {
        self.judge_by(|permission| key.allows(permission))
    }

    /// The same question about a bare set of grants, for `explain` and the configuration's tests.
    pub fn judge_grants(&self, grants: &Grants) -> Result<Vec<Permission>, Vec<Permission>> {
        self.judge_by(|permission| grants.allow(permission))
    }

    fn judge_by(
        &self,
        allow: impl Fn(&Permission) -> bool,
    ) -> Result<Vec<Permission>, Vec<Permission>> {
        let (granted, missing): (Vec<_>, Vec<_>) =
            self.permissions().iter().cloned().partition(allow);
        let met = match self {
            Requirement::All(_) => missing.is_empty(),
            Requirement::Any(_) => !granted.is_empty(),
        };
        if met { Ok(granted) } else { Err(missing) }
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
    /// For each key; for each client where the route is public.
    pub rate: Option<Rate>,
    /// The credential is forwarded instead of removed.
    pub forward_key: bool,
    /// What its paths may hold besides; never where they end with `{*rest}`.
    pub exceptions: Exceptions,
    /// Who may call from a browser; without it, nobody from another origin.
    pub cors: Option<Cors>,
    /// Refusals are noted, and the request passes all the same.
    pub shadow: bool,
    /// The upstream is spoken to in HTTP/2, and its trailers are the answer's.
    pub grpc: bool,
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

/// Where a key is taken from, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    Header(HeaderName),
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    Query(Box<str>),
    Cookie(Box<str>),
}

impl KeySource {
    /// Whether it shares its header with whatever the application itself may use.
    pub fn is_authorization(&self) -> bool {
        match self {
            KeySource::Bearer => true,
            KeySource::Header(name) => name == AUTHORIZATION,
            KeySource::Query(_) | KeySource::Cookie(_) => false,
        }
    }
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
