//! What a key is, to whoever holds it.

use axum::extract::State;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::clock;
use crate::decision::Standing;
use crate::key::{Grants, KeyRecord, Pattern};
use crate::management::caller::Caller;
use crate::management::plane::{ControlPlane, Plane};
use crate::management::wire::{Answer, ok};

#[derive(Serialize)]
pub struct Profile<'a> {
    user: User<'a>,
    key: Key<'a>,
    /// What the key may do: its own permissions, as far as its owner's roles grant them.
    permissions: Vec<String>,
    /// Where the user and the key stand with their limits; none is no limit.
    limits: Vec<Limit>,
}

#[derive(Serialize)]
struct User<'a> {
    id: Uuid,
    email: &'a str,
    subscription_tier: Option<&'a str>,
    roles: &'a [Box<str>],
}

#[derive(Serialize)]
struct Key<'a> {
    id: Uuid,
    lookup_id: Option<&'a str>,
    name: &'a str,
    environment: &'a str,
    /// Networks it may be used from; none named means any.
    allowed_ips: &'a [IpNet],
    expires_at: Option<Timestamp>,
}

/// Where somebody stands with one limit, as far as this node knows.
#[derive(Serialize)]
pub struct Limit {
    limit: &'static str,
    /// So many requests …
    count: u64,
    /// … in so much time.
    window_seconds: u64,
    remaining: u64,
    reset_seconds: u64,
}

impl From<Standing> for Limit {
    fn from(standing: Standing) -> Self {
        Self {
            limit: standing.limit.as_str(),
            count: standing.count,
            window_seconds: standing.window.as_secs(),
            remaining: standing.remaining,
            reset_seconds: standing.reset_seconds(),
        }
    }
}

pub async fn read(State(plane): State<Plane>, caller: Caller) -> Answer {
    ok(Profile::of(&caller.key, &plane))
}

/// Where whoever holds `key` stands with their limits.
pub fn limits(key: &KeyRecord, plane: &ControlPlane) -> Vec<Limit> {
    plane.parts.limits.standings(key, clock::now()).into_iter().map(Limit::from).collect()
}

impl<'a> Profile<'a> {
    pub fn of(key: &'a KeyRecord, plane: &ControlPlane) -> Self {
        let owner = &key.owner;
        Self {
            user: User {
                id: owner.id,
                email: &owner.email,
                subscription_tier: owner.tier.as_deref(),
                roles: &owner.roles,
            },
            key: Key {
                id: key.id,
                lookup_id: key.lookup_id.as_ref().map(|id| id.as_str()),
                name: &key.name,
                environment: key.environment.as_str(),
                allowed_ips: &key.allowed_ips,
                expires_at: key.expires_at,
            },
            permissions: intersection(&key.permissions, &owner.grants),
            limits: limits(key, plane),
        }
    }
}

/// The patterns that match what both sides match, none of them inside another.
fn intersection(left: &Grants, right: &Grants) -> Vec<String> {
    let pairs = left.patterns().iter().flat_map(|l| right.patterns().iter().map(move |r| (l, r)));
    let common: Grants = pairs.filter_map(|(l, r)| common(l, r)).collect();
    let widest = common.patterns().iter().filter(|inner| {
        !common.patterns().iter().any(|outer| outer != *inner && outer.covers(inner))
    });
    widest.map(ToString::to_string).collect()
}

/// One side holds the other, or `orders:*` and `*:read` meet in `orders:read`.
fn common(left: &Pattern, right: &Pattern) -> Option<Pattern> {
    if left.covers(right) {
        return Some(right.clone());
    }
    if right.covers(left) {
        return Some(left.clone());
    }
    let (left_resource, left_action) = left.as_str().split_once(':')?;
    let (right_resource, right_action) = right.as_str().split_once(':')?;
    let resource = meet(left_resource, right_resource)?;
    let action = meet(left_action, right_action)?;
    Pattern::parse(&format!("{resource}:{action}")).ok()
}

fn meet<'a>(left: &'a str, right: &'a str) -> Option<&'a str> {
    match (left, right) {
        ("*", other) | (other, "*") => Some(other),
        _ => (left == right).then_some(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(patterns: &[&str]) -> Grants {
        patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    fn both(left: &[&str], right: &[&str]) -> Vec<String> {
        let forth = intersection(&grants(left), &grants(right));
        assert_eq!(forth, intersection(&grants(right), &grants(left)));
        forth
    }

    #[test]
    fn a_key_may_do_what_both_it_and_its_owner_may() {
        assert_eq!(both(&["orders:read", "users:read"], &["orders:read"]), ["orders:read"]);
        assert_eq!(both(&["*"], &["orders:*", "users:read"]), ["orders:*", "users:read"]);
        assert_eq!(both(&["orders:*"], &["*:read"]), ["orders:read"]);
        assert_eq!(both(&["orders:*", "orders:read"], &["orders:*"]), ["orders:*"]);
        assert_eq!(both(&["admin"], &["*"]), ["admin"]);
        assert!(both(&["orders:read"], &["orders:delete"]).is_empty());
        assert!(both(&[], &["*"]).is_empty());
    }
}
