use http::{HeaderMap, HeaderValue, Method, Version, header::HOST};
use jiff::Timestamp;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use uuid::Uuid;

use crate::decision::{self, Denial, Opening, Refusal, Verdict};
use crate::key::{Digest, Environment, Grants, KeyRecord, Owner, Pattern};
use crate::policy::Policy;
use crate::request::RequestView;

/// A request that nobody sent, judged exactly as the proxy would judge it.
#[derive(Clone, Debug)]
pub struct Probe {
    pub method: Method,
    pub path: String,
    /// `localhost` unless given.
    pub host: Option<String>,
    /// What the caller's key may do; `None` is a caller without a key.
    pub permissions: Option<Vec<Pattern>>,
    pub environment: Environment,
}

impl Probe {
    /// From the words of the command line; without a permission, the caller has no key.
    pub fn parse(
        method: &str,
        path: String,
        host: Option<String>,
        permissions: &[String],
    ) -> Result<Self, String> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| format!("`{method}` is not a method"))?;
        let patterns: Result<Vec<_>, _> =
            permissions.iter().map(|text| Pattern::parse(text)).collect();
        let patterns = patterns.map_err(|error| error.to_string())?;
        let permissions = (!patterns.is_empty()).then_some(patterns);
        Ok(Self { method, path, host, permissions, environment: Environment::default() })
    }

    pub(super) fn host(&self) -> &str {
        self.host.as_deref().unwrap_or("localhost")
    }

    /// The host as routes name it: lower case, without a port.
    pub(super) fn host_name(&self) -> String {
        let host = self.host();
        let authority = host.parse::<http::uri::Authority>();
        authority.as_ref().map_or(host, |authority| authority.host()).to_ascii_lowercase()
    }

    pub(super) fn judge(&self, policy: &Policy) -> Verdict {
        // A host that is no header value is no host either.
        let host =
            HeaderValue::from_str(self.host()).map_err(|_| Refusal::new(Denial::InvalidRequest))?;
        let headers = HeaderMap::from_iter([(HOST, host)]);
        let view = RequestView {
            method: &self.method,
            target: self.path.as_bytes(),
            authority: None,
            version: Version::HTTP_11,
            headers: &headers,
            raw_head: None,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let Some(permissions) = &self.permissions else {
            return match decision::open(&view, policy) {
                Opening::Deny(refusal) => Err(refusal),
                Opening::Allow(admission) => Ok(admission),
                // There is no credential to ask about.
                Opening::Ask(_) => Err(Refusal::new(Denial::MissingKey)),
            };
        };
        let key = Arc::new(self.key(permissions));
        // The key never expires, so any time will do.
        decision::admit_known(&view, policy, &key, Timestamp::UNIX_EPOCH)
    }

    /// A key in good order that may do just this.
    fn key(&self, permissions: &[Pattern]) -> KeyRecord {
        let grants: Grants = permissions.iter().cloned().collect();
        KeyRecord {
            id: Uuid::nil(),
            lookup_id: None,
            digest: Digest::from_bytes([0; 32]),
            name: "probe".into(),
            environment: self.environment.clone(),
            permissions: grants.clone(),
            allowed_ips: Box::default(),
            expires_at: None,
            disabled: false,
            revoked_at: None,
            rate: None,
            quota: None,
            owner: Owner {
                id: Uuid::nil(),
                email: "probe".into(),
                tier: None,
                lock: None,
                disabled: false,
                roles: Box::default(),
                grants,
            },
        }
    }

    /// The caller, in words.
    pub(super) fn caller(&self) -> String {
        match self.permissions.as_deref() {
            None => "without a key".into(),
            Some([]) => "with a key that has no permissions".into(),
            Some(permissions) => format!("with a key for {}", join(permissions)),
        }
    }
}

/// `a, b`
pub(super) fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
