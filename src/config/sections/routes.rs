//! `[[routes]]`, and the policy that they make.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::conflicts::Conflicts;
use super::listeners::ForRoutes;
use super::options::{Setting, options};
use super::upstreams::{MANAGEMENT, Upstreams};
use crate::config::parse::{entry_name, host, method, nearest, nothing_empty, path, permission};
use crate::config::reader::{Fault, Place, Section, Value};
use crate::key::Permission;
use crate::policy::{Access, MethodSet, Policy, Requirement, Route};

/// The policy, if it can be made.
pub fn policy(
    root: &mut Section<'_>,
    upstreams: &Upstreams<'_>,
    proxy: ForRoutes,
) -> Option<Policy> {
    let routes = routes(root, upstreams, proxy.enforce);
    let (places, routes): (Vec<Place>, Vec<Route>) = routes.into_iter().unzip();
    let names: Vec<Arc<str>> = routes.iter().map(|route| route.name.clone()).collect();
    let judge = Conflicts { reader: root.reader(), places, names };
    let (policy, conflicts) = match Policy::new(routes, proxy.credentials, &proxy.realm) {
        Ok(policy) => {
            let warnings = policy.warnings();
            (Some(policy), warnings)
        }
        Err(conflicts) => (None, conflicts),
    };
    conflicts.into_iter().for_each(|conflict| judge.report(conflict));
    policy
}

/// The routes that are right, and where they stand.
fn routes(root: &mut Section<'_>, upstreams: &Upstreams<'_>, enforce: bool) -> Vec<(Place, Route)> {
    let entries = root.entries("routes");
    if entries.is_empty() {
        let hint = "for example [[routes]] with name, path, require and upstream";
        root.reader().absent(root.at(), "there is no route", Some(hint.into()));
    }
    let mut names = Names::default();
    let mut routes = Vec::new();
    for mut entry in entries {
        let at = entry.at().clone();
        routes.extend(route(&mut entry, upstreams, &mut names, enforce).map(|route| (at, route)));
    }
    for (name, place) in &upstreams.names {
        // A route that could not be read may well have led there.
        if !root.reader().failed() && !names.upstreams.contains(name) {
            let hint = "remove it, or name it in a route: upstream = \"…\"";
            let message = format!("no route leads to the upstream `{name}`");
            root.reader().warn(place.at(), message, Some(hint.into()));
        }
    }
    routes
}

/// What was named so far.
#[derive(Default)]
struct Names {
    routes: HashMap<Arc<str>, Place>,
    upstreams: BTreeSet<Box<str>>,
}

fn route(
    entry: &mut Section<'_>,
    upstreams: &Upstreams<'_>,
    names: &mut Names,
    enforce: bool,
) -> Option<Route> {
    let name = route_name(entry, names);
    let path = entry.require("path", "\"/api/v1/orders/{id}\"").and_then(|v| v.parse(path));
    let methods = methods(entry);
    let host = entry.read("host", host);
    let access = access(entry);
    let upstream = upstream(entry, upstreams);
    names.upstreams.extend(upstream.clone());
    let setting = Setting { path: path.as_ref(), upstream: upstream.as_deref(), enforce };
    let options = options(entry, &setting);
    Some(Route {
        name: name?,
        path: path?,
        methods,
        host,
        access: access?,
        upstream: upstream?,
        options,
    })
}

fn route_name(entry: &mut Section<'_>, names: &mut Names) -> Option<Arc<str>> {
    let value = entry.require("name", "\"orders-read\"")?;
    let name = value.parse(|text| match text {
        // The label of requests that match no route.
        "none" => Err(Fault::new("is the metric label of requests without a route")
            .hint("choose another name")),
        _ => entry_name(text).map(Arc::<str>::from),
    })?;
    if let Some(first) = names.routes.get(&name) {
        let hint =
            format!("the other one is {}; names are metric labels", value.reader().locate(first));
        value.reader().error(value.at(), format!("a second route is named `{name}`"), Some(hint));
    } else {
        names.routes.insert(name.clone(), value.at().clone());
    }
    Some(name)
}

fn methods(entry: &mut Section<'_>) -> Option<MethodSet> {
    let value = entry.take("methods")?;
    if value.items()?.is_empty() {
        let hint = "leave `methods` out for any method";
        value.reader().error(
            value.at(),
            "`methods` is empty: nothing could match",
            Some(hint.into()),
        );
    }
    Some(MethodSet::new(value.list(method)?))
}

/// Exactly one of `require`, `require_any` and `public = true`: absence is never everything.
fn access(entry: &mut Section<'_>) -> Option<Access> {
    let require = entry.take("require");
    let require_any = entry.take("require_any");
    // `public = false` says what is so anyway.
    let public = entry.take("public").filter(|value| value.flag() != Some(false));
    match (require, require_any, public) {
        (Some(all), None, None) => {
            Some(Access::Require(Requirement::All(all.list(permission)?.into())))
        }
        (None, Some(any), None) => Some(Access::Require(Requirement::Any(any_of(&any)?.into()))),
        (None, None, Some(_)) => Some(Access::Public),
        (None, None, None) => {
            let hint = "add require = [\"…\"], require = [] for any valid key, or public = true";
            let message = "the route does not say who may call it";
            entry.reader().absent(entry.at(), message, Some(hint.into()));
            None
        }
        (require, require_any, public) => {
            let last = public.or(require_any).or(require)?;
            let message = "`require`, `require_any` and `public` exclude each other";
            last.reader().error(last.at(), message, Some("keep one of them".into()));
            None
        }
    }
}

fn any_of(value: &Value<'_>) -> Option<Vec<Permission>> {
    let permissions = value.list(permission)?;
    if value.items()?.is_empty() {
        let hint = "require = [] lets any valid key in";
        let message = "`require_any` is empty: nobody could call";
        value.reader().error(value.at(), message, Some(hint.into()));
    }
    Some(permissions)
}

fn upstream(entry: &mut Section<'_>, upstreams: &Upstreams<'_>) -> Option<Box<str>> {
    let value = entry.require("upstream", "\"orders\"")?;
    let name = value.parse(nothing_empty)?;
    let known = || upstreams.names.iter().map(|(name, _)| name.as_ref()).chain([MANAGEMENT]);
    if known().any(|known| known == name) {
        return Some(name.into());
    }
    let message = format!("`{}` is not an upstream", value.shown());
    let hint = nearest(&name, known())
        .unwrap_or_else(|| format!("known are {}", known().collect::<Vec<_>>().join(", ")));
    value.reader().absent(value.at(), message, Some(hint));
    None
}
