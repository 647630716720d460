use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use http::request::Parts as Head;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::caller::{Caller, Door, Visit};
use super::hosts::Hosts;
use super::wire::ApiError;
use super::{Parts, table};
use crate::decision::{Admission, Verdict};
use crate::policy::Policy;
use crate::request::RequestView;
use crate::store::{Actor, Change, Store, UserRow};

/// Clients that may follow the events at a time.
const LISTENERS: usize = 32;

/// What operations work with, and the judgement of who may call them.
pub(super) struct ControlPlane {
    pub parts: Parts,
    pub started: Instant,
    /// Where operations run: a client that goes away, or a runtime that is not the store's, must
    /// not stop a change half-way.
    pub runtime: Handle,
    policy: Policy,
    diagnostics: Policy,
    hosts: Hosts,
    probes: Vec<&'static str>,
    bootstrapped: AtomicBool,
    /// Seats of those who follow the events.
    pub listeners: Arc<Semaphore>,
}

impl ControlPlane {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            started: Instant::now(),
            runtime: Handle::current(),
            policy: table::policy(&parts.realm),
            diagnostics: table::diagnostics_policy(&parts.realm),
            hosts: Hosts::new(&parts.settings),
            probes: table::probes(),
            bootstrapped: AtomicBool::new(false),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            parts,
        }
    }

    /// Whether a request may be served, and as whose.
    pub(super) async fn judge(&self, visit: &Visit, head: &Head) -> Result<Admission, ApiError> {
        let path = head.uri.path();
        // A rebound name is refused before its page learns anything. What came through the proxy
        // came under the proxy's names.
        if matches!(visit.door, Door::Socket)
            && !self.is_probe(path)
            && !self.hosts.accept(&head.headers)
        {
            return Err(ApiError::MisdirectedRequest);
        }
        // Without an admin no key can be right: the answer says what to do instead of 401.
        if path.starts_with("/api/") {
            self.require_bootstrap().await?;
        }
        self.admit(&self.policy, visit, head).await.map_err(|refusal| refusal.into())
    }

    /// Whether the caller may see how this node is doing, on a path that is public otherwise.
    pub(super) async fn may_see_diagnostics(&self, visit: &Visit, head: &Head) -> bool {
        self.admit(&self.diagnostics, visit, head).await.is_ok()
    }

    /// Whether machines ask this path, every few seconds and under any name of this host.
    pub(super) fn is_probe(&self, path: &str) -> bool {
        self.probes.contains(&path)
    }

    async fn admit(&self, policy: &Policy, visit: &Visit, head: &Head) -> Verdict {
        let (target, authority) = match visit.door {
            // HTTP/1 alone: a target with an authority is one in absolute form, and judged as that.
            Door::Socket => (head.uri.to_string(), None),
            Door::Proxy(_) => (path_and_query(head), head.uri.authority()),
        };
        let view = RequestView {
            method: &head.method,
            target: target.as_bytes(),
            authority: authority.map(|authority| authority.as_str()),
            version: head.version,
            headers: &head.headers,
            raw_head: None,
            client: visit.client,
        };
        match visit.known_key() {
            Some(key) => self.parts.gate.admit_known(&view, policy, key),
            None => self.parts.gate.admit(&view, policy).await,
        }
    }

    /// Once there is an admin there always is one: the store keeps the last.
    async fn require_bootstrap(&self) -> Result<(), ApiError> {
        if self.bootstrapped.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !self.store().has_admin().await? {
            return Err(ApiError::NotBootstrapped);
        }
        self.bootstrapped.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// For reading.
    pub(super) fn store(&self) -> &dyn Store {
        self.parts.directory.store()
    }

    /// Makes a change in the caller's name and on the request's terms; it is effective here when this answers.
    pub(super) async fn commit(&self, change: Change, caller: &Caller) -> Result<Actor, ApiError> {
        let by = caller.actor();
        self.parts.directory.commit_if(change, &caller.terms, &by).await?;
        Ok(by)
    }

    /// A user who is not deleted.
    pub(super) async fn user(&self, id: Uuid) -> Result<UserRow, ApiError> {
        let user = self.store().user(id).await?;
        user.filter(|user| user.deleted_at.is_none()).ok_or(ApiError::NotFound)
    }

    /// A tier that a user can be given: one of the configuration, or none.
    pub(super) fn check_tier(&self, tier: Option<&str>) -> Result<(), ApiError> {
        let Some(tier) = tier else { return Ok(()) };
        let known = self.parts.limits.tier_names();
        if known.iter().any(|known| &**known == tier) {
            return Ok(());
        }
        let known = known.join("`, `");
        let reason = match &*known {
            "" => "must be null: no tiers are configured".into(),
            known => format!("is not a configured tier: there are `{known}`"),
        };
        Err(ApiError::field("subscription_tier", reason))
    }
}

fn path_and_query(head: &Head) -> String {
    head.uri.path_and_query().map_or_else(String::new, ToString::to_string)
}

/// Shared by every operation.
pub(super) type Plane = Arc<ControlPlane>;
