use ipnet::IpNet;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Digest, Environment, Grants, LookupId, Permission, Quota, Rate};

/// What a decision knows of a key and its owner, loaded from the store in one piece.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    pub id: Uuid,
    /// `None` for a key imported by its digest.
    pub lookup_id: Option<LookupId>,
    pub digest: Digest,
    pub name: Box<str>,
    pub environment: Environment,
    /// The key's own permissions. What it may do is their intersection with the owner's.
    pub permissions: Grants,
    /// Networks it may be used from; empty means any.
    pub allowed_ips: Box<[IpNet]>,
    pub expires_at: Option<Timestamp>,
    pub disabled: bool,
    pub revoked_at: Option<Timestamp>,
    /// Limits of its own, besides those of its owner's tier.
    pub rate: Option<Rate>,
    pub quota: Option<Quota>,
    pub owner: Owner,
}

/// The account behind a key.
#[derive(Clone, Debug)]
pub struct Owner {
    pub id: Uuid,
    pub email: Box<str>,
    /// The name of a tier in the configuration; `None` is unlimited.
    pub tier: Option<Box<str>>,
    pub lock: Option<AccountLock>,
    /// The account was deleted: its keys can no longer do anything.
    pub disabled: bool,
    pub roles: Box<[Box<str>]>,
    /// The union of its roles' permissions.
    pub grants: Grants,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountLock {
    /// `None` is a lock without an end of its own: an administrator's.
    pub until: Option<Timestamp>,
}

impl AccountLock {
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl KeyRecord {
    /// Whether the key itself and the owner's roles both grant `permission`.
    pub fn allows(&self, permission: &Permission) -> bool {
        self.permissions.allow(permission) && self.owner.grants.allow(permission)
    }
}
