use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use http::Method;

use super::conflict::{Conflict, conflicts};
use super::fold::fold;
use super::reading::readings;
use super::trie::{Node, Place};
use super::{CredentialRules, MethodSet, Route, Segment};

/// The route map, ready to be asked. Matching cost does not grow with the number of routes.
#[derive(Debug)]
pub struct Policy {
    pub credentials: CredentialRules,
    /// The realm in `WWW-Authenticate`.
    pub realm: Box<str>,
    routes: Vec<Arc<Route>>,
    hosts: HashMap<Box<str>, Node, FixedState>,
    any_host: Node,
    warnings: Vec<Conflict>,
}

/// What a request's method, host and path come to.
#[derive(Clone, Debug)]
pub enum Match<'p> {
    Route(&'p Arc<Route>),
    /// The path is known, the method is not.
    MethodNotAllowed(MethodSet),
    /// A lenient upstream would read this path as one that a different route covers.
    Ambiguous,
    None,
}

impl Policy {
    /// Builds the matcher.
    ///
    /// # Errors
    /// Every conflict between routes, as soon as two of them are equal. `Shadowed` and
    /// `Lookalike` alone are warnings, and come through [`Policy::warnings`].
    pub fn new(
        routes: Vec<Route>,
        credentials: CredentialRules,
        realm: &str,
    ) -> Result<Self, Vec<Conflict>> {
        let warnings = conflicts(&routes);
        if warnings.iter().any(|conflict| matches!(conflict, Conflict::Equal { .. })) {
            return Err(warnings);
        }
        let mut routes: Vec<_> = routes.into_iter().map(Arc::new).collect();
        routes.sort_by(|a, b| match_order(a, b));
        let (mut hosts, mut any_host) = (HashMap::default(), Node::default());
        for route in &routes {
            let trie: &mut Node = match &route.host {
                Some(host) => hosts.entry(host.as_str().into()).or_default(),
                None => &mut any_host,
            };
            trie.insert(route);
        }
        Ok(Self { credentials, realm: realm.into(), routes, hosts, any_host, warnings })
    }

    /// Conflicts that do not make the policy wrong but surely surprise its author.
    pub fn warnings(&self) -> Vec<Conflict> {
        self.warnings.clone()
    }

    /// The routes in match order.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The route that `method`, `host` (without port, lower case) and `path` match.
    ///
    /// The first path that matches decides, even if it does not take the method. Where a lenient
    /// reader would have matched another path before it, the request is ambiguous: to such an
    /// upstream it is that other path's.
    pub fn find<'p>(&'p self, method: &Method, host: &str, path: &[u8]) -> Match<'p> {
        let mut rivals = 0;
        let found = self.walk(host, path, |places| {
            rivals += places.len();
            let place = places.iter().find(|place| place.matches(path))?;
            Some(if rivals == 1 { place.answer(method) } else { Match::Ambiguous })
        });
        found.unwrap_or(Match::None)
    }

    /// Whether an upstream that does not take an exception for what it is could serve another path
    /// than that of `route`, which `path` matches as it stands.
    pub fn is_read_otherwise(&self, route: &Arc<Route>, host: &str, path: &[u8]) -> bool {
        readings(path).any(|reading| {
            let other = self.walk(host, &reading, |places| {
                if places.iter().any(|place| !place.holds(route)) {
                    return Some(true);
                }
                places.iter().any(|place| place.matches(&reading)).then_some(false)
            });
            other.unwrap_or(false)
        })
    }

    /// Asks `judge` about the places where a lenient reader would look for `path`, in order.
    fn walk<'p, R>(
        &'p self,
        host: &str,
        path: &[u8],
        mut judge: impl FnMut(&'p [Place]) -> Option<R>,
    ) -> Option<R> {
        let folded = fold(path);
        let loose = folded.strip_prefix(b"/")?;
        let loose = loose.strip_suffix(b"/").unwrap_or(loose);
        let by_host = if self.hosts.is_empty() { None } else { self.hosts.get(host) };
        by_host
            .and_then(|trie| trie.visit(loose, &mut judge))
            .or_else(|| self.any_host.visit(loose, &mut judge))
    }
}

/// The precedence stated at the top of this room, then names, so that the order of the file makes
/// no difference.
fn match_order(a: &Route, b: &Route) -> Ordering {
    let host = |r: &Route| (r.host.is_none(), r.host.clone());
    let methods = |r: &Route| {
        let names = r.methods.iter().flat_map(MethodSet::iter).map(|m| m.as_str().to_owned());
        (r.methods.is_none(), names.collect::<Vec<_>>())
    };
    host(a)
        .cmp(&host(b))
        .then_with(|| path_order(a.path.segments(), b.path.segments()))
        .then_with(|| methods(a).cmp(&methods(b)))
        .then_with(|| a.name.cmp(&b.name))
}

fn path_order(a: &[Segment], b: &[Segment]) -> Ordering {
    let rank = |segment: &Segment| match segment {
        Segment::Literal(text) => (0, text.clone()),
        Segment::Param(_) => (1, Box::default()),
        Segment::Rest(_) => (2, Box::default()),
    };
    a.iter().map(rank).cmp(b.iter().map(rank))
}
