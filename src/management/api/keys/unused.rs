//! What a key was granted and has not needed lately, so that people can take it back.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use crate::clock;
use crate::decision::Outcome;
use crate::key::{Grants, Pattern, Permission};
use crate::management::plane::{ControlPlane, Plane};
use crate::management::table;
use crate::management::wire::{Answer, ApiError, Id, Params, ok};
use crate::policy::{Access, Policy, Requirement, Route};
use crate::store::{Dimension, Grouping, RollupFilter, minute};

/// Longer than usage records are kept would look like an answer and be none.
const MOST_DAYS: u16 = 365;

/// More routes than any configuration has.
const ROUTES: i64 = 10_000;

#[derive(Serialize)]
struct UnusedView {
    since: Timestamp,
    /// What the key was granted and no request has needed.
    unused: Vec<String>,
    /// What its requests have needed: as much as it has to have.
    needed: Vec<String>,
    /// Routes that it has used and that are gone, so that nobody knows what they needed.
    unknown_routes: Vec<String>,
}

pub async fn read(State(plane): State<Plane>, Id(id): Id, uri: Uri) -> Answer {
    let days = Params::read(&uri, |params| {
        params.optional("days", "a number from 1 to 365", |text| {
            text.parse::<u16>().ok().filter(|days| (1..=MOST_DAYS).contains(days))
        })
    })?;
    let key = super::load(&plane, id).await?;
    let since = clock::now() - SignedDuration::from_hours(24 * i64::from(days.unwrap_or(30)));
    let routes = routes_used(&plane, id, since).await?;
    let own = table::policy("");
    let route = |name: &str| (plane.parts.routes)(name).or_else(|| find(&own, name));
    ok(judge(&key.permissions, &routes, route, since))
}

/// Out of the counts by the minute, so that its cost does not grow with the number of requests.
async fn routes_used(
    plane: &ControlPlane,
    key: Uuid,
    since: Timestamp,
) -> Result<Vec<String>, ApiError> {
    let filter = RollupFilter {
        from: minute(since),
        to: minute(clock::now()) + SignedDuration::from_mins(1),
        user_id: None,
        key_id: Some(key),
        route: None,
        outcome: Some(Outcome::Allow.code().to_owned()),
    };
    let sums = plane.store().usage_sums(&filter, Grouping::Top(Dimension::Route, ROUTES)).await?;
    let names: BTreeSet<String> = sums.into_iter().map(|sums| sums.group).collect();
    Ok(names.into_iter().collect())
}

fn find(policy: &Policy, name: &str) -> Option<Arc<Route>> {
    policy.routes().iter().find(|route| *route.name == *name).cloned()
}

fn judge(
    granted: &[Pattern],
    routes_used: &[String],
    route: impl Fn(&str) -> Option<Arc<Route>>,
    since: Timestamp,
) -> UnusedView {
    let grants: Grants = granted.iter().cloned().collect();
    let mut needed = BTreeSet::new();
    let mut unknown_routes = Vec::new();
    for name in routes_used {
        match route(name) {
            Some(route) => needed.extend(needs(&route, &grants)),
            None => unknown_routes.push(name.clone()),
        }
    }
    let is_unused = |pattern: &&Pattern| !needed.iter().any(|needed| pattern.matches(needed));
    UnusedView {
        since,
        unused: granted.iter().filter(is_unused).map(ToString::to_string).collect(),
        needed: needed.iter().map(ToString::to_string).collect(),
        unknown_routes,
    }
}

/// Which permissions of the key let it through: of a route that takes any of several, all that it
/// has of them, since each would have done.
fn needs(route: &Route, grants: &Grants) -> Vec<Permission> {
    let Access::Require(requirement) = &route.access else { return Vec::new() };
    let held = requirement.permissions().iter().filter(|needed| grants.allow(needed)).cloned();
    let held: Vec<_> = held.collect();
    let enough = match requirement {
        Requirement::All(all) => held.len() == all.len(),
        Requirement::Any(_) => !held.is_empty(),
    };
    // What it did not have itself, `admin` stood for.
    if !enough && route.options.admin_suffices { vec![Permission::admin()] } else { held }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{CredentialRules, PathPattern, RouteOptions};

    fn map() -> Policy {
        let all: fn(Box<[Permission]>) -> Requirement = Requirement::All;
        let routes = [
            ("orders", all, vec!["orders:read"]),
            ("both", all, vec!["orders:read", "users:read"]),
            ("any", Requirement::Any, vec!["users:read", "users:delete", "audits:read"]),
            ("open", all, vec![]),
        ];
        let route = |(name, requirement, permissions): (&str, fn(_) -> _, Vec<&str>)| Route {
            name: name.into(),
            path: PathPattern::parse(&format!("/{name}")).unwrap(),
            methods: None,
            host: None,
            access: Access::Require(requirement(
                permissions.iter().map(|p| Permission::parse(p).unwrap()).collect(),
            )),
            upstream: "a".into(),
            options: RouteOptions::default(),
        };
        let routes = routes.into_iter().map(route).collect();
        Policy::new(routes, CredentialRules::default(), "test").unwrap()
    }

    fn judged(granted: &[&str], used: &[&str]) -> UnusedView {
        let granted: Vec<_> = granted.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        let used: Vec<_> = used.iter().map(|name| (*name).to_owned()).collect();
        let management = table::policy("test");
        let route = |name: &str| find(&map(), name).or_else(|| find(&management, name));
        judge(&granted, &used, route, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_no_request_has_needed_is_unused() {
        let view = judged(&["orders:read", "orders:delete"], &["orders", "open"]);
        assert_eq!(view.unused, ["orders:delete"]);
        assert_eq!(view.needed, ["orders:read"]);
        assert_eq!(judged(&["orders:read"], &[]).unused, ["orders:read"]);
    }

    #[test]
    fn a_pattern_is_used_when_anything_in_it_was_needed() {
        let view = judged(&["orders:*", "audits:*"], &["orders"]);
        assert_eq!(view.unused, ["audits:*"]);
        assert_eq!(view.needed, ["orders:read"], "as much as it has to have");
    }

    #[test]
    fn of_any_all_that_it_has_would_have_done() {
        assert!(judged(&["users:read", "users:delete"], &["any"]).unused.is_empty());
    }

    #[test]
    fn a_management_operation_needs_what_the_table_says() {
        let view = judged(&["users:read", "admin"], &["management:list_users"]);
        assert_eq!(view.unused, ["admin"]);
        let view = judged(&["admin"], &["management:list_users"]);
        assert!(view.unused.is_empty(), "it stood for what was not there");
    }

    #[test]
    fn a_route_that_is_gone_is_named() {
        assert_eq!(judged(&["orders:read"], &["old"]).unknown_routes, ["old"]);
    }
}
