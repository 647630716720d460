use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use http::request::Parts as Head;
use uuid::Uuid;

use super::wire::ApiError;
use crate::clock;
use crate::decision::{Admission, Denial, Refusal};
use crate::key::{KeyRecord, Permission};
use crate::store::{Actor, Terms};

/// Where a request comes from, before anybody is known.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub request_id: Uuid,
    pub client: IpAddr,
    pub door: Door,
}

#[derive(Clone, Debug)]
pub(super) enum Door {
    Socket,
    /// The proxy has admitted the request, and records it.
    Proxy(Admission),
}

/// An address that no allowlist holds: what is not known must not open anything.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Visit {
    /// From the listener: a stranger's request id is not taken over.
    pub(super) fn from_socket(head: &Head) -> Self {
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        Self {
            request_id: Uuid::now_v7(),
            client: peer.unwrap_or(NOWHERE).to_canonical(),
            door: Door::Socket,
        }
    }

    pub(super) fn from_proxy(head: &Head, admission: Admission) -> Self {
        Self {
            request_id: head.extensions.get().copied().unwrap_or_else(Uuid::now_v7),
            client: head.extensions.get().copied().unwrap_or(NOWHERE),
            door: Door::Proxy(admission),
        }
    }

    /// The key that another door has admitted already.
    pub(super) fn known_key(&self) -> Option<&Arc<KeyRecord>> {
        match &self.door {
            Door::Socket => None,
            Door::Proxy(admission) => admission.key(),
        }
    }
}

/// Who calls an operation, admitted.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub key: Arc<KeyRecord>,
    pub visit: Visit,
    /// What the request's headers ask of the change that it makes.
    pub terms: Terms,
}

impl Caller {
    /// For what an operation needs beyond its access, when the body asks for more.
    pub(super) fn require(&self, permission: &str) -> Result<(), ApiError> {
        let permission = Permission::parse(permission).map_err(ApiError::internal)?;
        let admin = Permission::parse("admin").map_err(ApiError::internal)?;
        if self.key.allows(&permission) || self.key.allows(&admin) {
            return Ok(());
        }
        let mut refusal = Refusal::new(Denial::InsufficientPermissions);
        refusal.missing = vec![permission];
        Err(ApiError::Refused(Box::new(refusal)))
    }

    /// Who makes a change, and when: now.
    pub(super) fn actor(&self) -> Actor {
        Actor {
            user_id: Some(self.key.owner.id),
            key_id: Some(self.key.id),
            ip: Some(self.visit.client),
            request_id: Some(self.visit.request_id),
            at: clock::now(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Head, _: &S) -> Result<Self, ApiError> {
        let visit = head.extensions.get::<Visit>().cloned();
        visit.ok_or_else(|| ApiError::internal("a request got round the front"))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Head, _: &S) -> Result<Self, ApiError> {
        let caller = head.extensions.get::<Caller>().cloned();
        caller.ok_or_else(|| ApiError::internal("a public operation asks for its caller"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::key::{Digest, Environment, Grants, Owner, Pattern};

    /// Somebody whose key has `permissions`, and whose roles grant `roles`.
    pub fn caller(permissions: &[&str], roles: &[&str]) -> Caller {
        let key = KeyRecord {
            id: Uuid::from_u128(1),
            lookup_id: None,
            digest: Digest::of(b"a key"),
            name: "test".into(),
            environment: Environment::default(),
            permissions: grants(permissions),
            allowed_ips: Box::default(),
            expires_at: None,
            disabled: false,
            revoked_at: None,
            rate: None,
            quota: None,
            owner: Owner {
                id: Uuid::from_u128(2),
                email: "a@example.com".into(),
                tier: None,
                lock: None,
                disabled: false,
                roles: Box::default(),
                grants: grants(roles),
            },
        };
        let visit = Visit { request_id: Uuid::from_u128(3), client: NOWHERE, door: Door::Socket };
        Caller { key: Arc::new(key), visit, terms: Terms::default() }
    }

    fn grants(patterns: &[&str]) -> Grants {
        patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn what_a_body_asks_for_needs_its_permission_or_admin() {
        let may =
            |key: &[&str], roles: &[&str]| caller(key, roles).require("permissions:assign").is_ok();
        assert!(may(&["permissions:assign"], &["permissions:*"]));
        assert!(may(&["admin"], &["*"]));
        assert!(!may(&["permissions:assign"], &["users:*"]));
        assert!(!may(&["users:*"], &["*"]));
        assert!(!may(&[], &["*"]));
    }

    #[test]
    fn a_change_is_made_in_the_name_of_user_and_key() {
        let caller = caller(&[], &[]);
        let actor = caller.actor();
        assert_eq!(actor.user_id, Some(caller.key.owner.id));
        assert_eq!(actor.key_id, Some(caller.key.id));
        assert_eq!(actor.request_id, Some(caller.visit.request_id));
    }
}
