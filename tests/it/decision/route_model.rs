//! The trie against a search through every route that follows the design word by word.

use std::cmp::Ordering;

use gatepost::policy::{Conflict, CredentialRules, Policy, Route, Segment};
use http::Method;
use proptest::prelude::*;

use super::fixture::{policy, route};
use super::routes::find;

/// Routes over a small alphabet, so that they meet, in either case.
fn routes() -> impl Strategy<Value = Vec<Route>> {
    let segment = prop_oneof![4 => "[abAB]", 2 => Just("{p}".to_owned())];
    let path = (prop::collection::vec(segment, 0..3), prop::sample::select(vec!["", "/", "/{*r}"]));
    let path = path.prop_map(|(segments, end)| {
        let numbered =
            segments.iter().enumerate().map(|(i, s)| s.replace("{p}", &format!("{{p{i}}}")));
        let path: String = numbered.map(|segment| format!("/{segment}")).collect::<String>() + end;
        if path.is_empty() { "/".to_owned() } else { path }
    });
    let methods = prop::sample::select(vec!["", "GET ", "POST "]);
    let host = prop::sample::select(vec!["", "", "one.test"]);
    let text = (methods, host, path).prop_map(|(m, h, p)| route(&format!("{m}{h}{p}")));
    prop::collection::vec(text, 1..8).prop_map(without_equals)
}

fn without_equals(mut routes: Vec<Route>) -> Vec<Route> {
    loop {
        match Policy::new(routes.clone(), CredentialRules::default(), "test") {
            Ok(_) => return routes,
            Err(conflicts) => {
                let equal = conflicts.iter().find_map(|conflict| match conflict {
                    Conflict::Equal { second, .. } => Some(*second),
                    _ => None,
                });
                routes.remove(equal.expect("nothing else is an error"));
            }
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    let segments = prop::collection::vec("[abcABC]", 0..4);
    (segments, any::<bool>()).prop_map(|(segments, slash)| {
        let path = format!("/{}", segments.join("/"));
        if slash && path != "/" { path + "/" } else { path }
    })
}

/// The host, then each segment's kind: what precedence compares.
fn specificity(route: &Route) -> (bool, Vec<u8>) {
    let kinds = route.path.segments().iter().filter_map(|segment| match segment {
        Segment::Literal(text) if text.is_empty() => None,
        Segment::Literal(_) => Some(0),
        Segment::Param(_) => Some(1),
        Segment::Rest(_) => Some(2),
    });
    (route.host.is_none(), kinds.collect())
}

/// The routes of the most specific path that matches, by looking at every route.
fn best<'r>(routes: &'r [Route], host: &str, path: &str) -> Vec<&'r Route> {
    let matches = |route: &&Route| {
        let hosts = route.host.as_ref().is_none_or(|own| own.as_str() == host);
        hosts && route.path.matches(path.as_bytes())
    };
    let order = |a: &&Route, b: &&Route| specificity(a).cmp(&specificity(b));
    let Some(first) = routes.iter().filter(matches).min_by(order) else { return vec![] };
    let level = |route: &&Route| specificity(route) == specificity(first);
    routes.iter().filter(matches).filter(level).collect()
}

/// Every other case of every letter, with and without a slash at the end.
fn variants(path: &str) -> Vec<String> {
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let mut cased = vec![String::new()];
    for c in trimmed.chars() {
        let both = [c.to_ascii_lowercase(), c.to_ascii_uppercase()];
        cased = cased.iter().flat_map(|head| both.map(|c| format!("{head}{c}"))).collect();
        cased.dedup();
    }
    cased.iter().flat_map(|path| [path.clone(), format!("{path}/")]).collect()
}

/// What the design says, word by word, at the cost that the trie avoids.
fn reference(routes: &[Route], method: &Method, host: &str, path: &str) -> String {
    let here = best(routes, host, path);
    let Some(first) = here.first() else { return "none".to_owned() };
    let rival = variants(path).iter().any(|variant| {
        best(routes, host, variant).first().is_some_and(|other| {
            let other_path = other.path.as_str() != first.path.as_str() || other.host != first.host;
            other_path && specificity(other).cmp(&specificity(first)) != Ordering::Greater
        })
    });
    if rival {
        return "ambiguous".to_owned();
    }
    let specific = here.iter().find(|r| r.methods.as_ref().is_some_and(|m| m.contains(method)));
    match specific.or_else(|| here.iter().find(|r| r.methods.is_none())) {
        Some(route) => route.name.to_string(),
        None => "method".to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn the_trie_finds_what_a_linear_search_finds(
        routes in routes(),
        paths in prop::collection::vec(path(), 12),
        host in prop::sample::select(vec!["one.test", "two.test"]),
        method in prop::sample::select(vec![Method::GET, Method::POST, Method::DELETE]),
    ) {
        let policy = policy(routes.clone());
        for path in paths {
            let found = find(&policy, method.as_str(), host, &path);
            let found = if found.starts_with("allow:") { "method".to_owned() } else { found };
            prop_assert_eq!(found, reference(&routes, &method, host, &path), "{}", path);
        }
    }

    #[test]
    fn the_order_of_the_file_makes_no_difference(
        routes in routes(),
        seed in any::<prop::sample::Index>(),
        paths in prop::collection::vec(path(), 8),
    ) {
        let mut turned = routes.clone();
        turned.rotate_left(seed.index(routes.len()));
        turned.reverse();
        let (one, other) = (policy(routes), policy(turned));
        let names = |policy: &Policy| policy.routes().iter().map(|r| r.name.clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(&one), names(&other));
        for path in paths {
            prop_assert_eq!(find(&one, "GET", "one.test", &path), find(&other, "GET", "one.test", &path));
        }
    }
}
