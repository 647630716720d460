use std::cmp::Ordering;

use gatepost::policy::{Conflict, CredentialRules, Match, Policy, Route, Segment};
use http::Method;
use proptest::prelude::*;

use super::fixture::{policy, route};

/// The name of the route found (in these tests: its text), or what came instead.
fn find(policy: &Policy, method: &str, host: &str, path: &str) -> String {
    match policy.find(&method.parse().expect(method), host, path.as_bytes()) {
        Match::Route(route) => route.name.to_string(),
        Match::MethodNotAllowed(methods) => {
            format!("allow: {}", methods.to_allow_header().to_str().expect("ASCII"))
        }
        Match::Ambiguous => "ambiguous".to_owned(),
        Match::None => "none".to_owned(),
    }
}

fn expect(routes: &[&str], cases: &[(&str, &str)]) {
    let policy = policy(routes.iter().map(|text| route(text)));
    for (request, found) in cases {
        let (method, target) = request.split_once(' ').expect(request);
        let (host, path) = target.split_at(target.find('/').expect("a path"));
        assert_eq!(find(&policy, method, host, path), *found, "{request}");
    }
}

#[test]
fn literals_come_before_parameters_before_the_rest() {
    expect(
        &["/a/{id}", "/a/me", "/a/{*rest}", "/a/{id}/b", "/{*all}"],
        &[
            ("GET /a/me", "/a/me"),
            ("GET /a/7", "/a/{id}"),
            ("GET /a/7/b", "/a/{id}/b"),
            ("GET /a/7/c", "/a/{*rest}"),
            ("GET /a/7/b/c", "/a/{*rest}"),
            ("GET /b", "/{*all}"),
            ("GET /", "none"),
        ],
    );
}

#[test]
fn a_literal_that_leads_nowhere_falls_back() {
    expect(
        &["/a/b/c", "/a/{x}/d", "/{y}/b/{*rest}"],
        &[("GET /a/b/c", "/a/b/c"), ("GET /a/b/d", "/a/{x}/d"), ("GET /a/b/e", "/{y}/b/{*rest}")],
    );
}

#[test]
fn slashes_at_the_end_are_exact() {
    expect(
        &["/a", "/b/", "/c/{id}", "/d/{*rest}"],
        &[
            ("GET /a", "/a"),
            ("GET /a/", "none"),
            ("GET /b/", "/b/"),
            ("GET /b", "none"),
            ("GET /c/1", "/c/{id}"),
            ("GET /c/1/", "none"),
            ("GET /c/", "none"),
            ("GET /d/", "none"),
            ("GET /d/1/", "/d/{*rest}"),
        ],
    );
}

#[test]
fn a_route_for_certain_methods_comes_before_the_one_for_any() {
    expect(
        &["/a", "GET /a", "POST,PUT /a"],
        &[
            ("GET /a", "GET /a"),
            ("HEAD /a", "GET /a"),
            ("PUT /a", "POST,PUT /a"),
            ("DELETE /a", "/a"),
        ],
    );
}

#[test]
fn the_first_path_decides_even_if_it_does_not_take_the_method() {
    expect(
        &["GET /a/b", "POST /a/b", "/a/{id}", "/{*rest}"],
        &[("DELETE /a/b", "allow: GET, HEAD, POST"), ("DELETE /a/c", "/a/{id}")],
    );
}

#[test]
fn a_host_of_its_own_comes_first() {
    expect(
        &["/a", "/b", "GET one.test/a", "one.test/{*rest}", "two.test/a"],
        &[
            ("GET one.test/a", "GET one.test/a"),
            // Neither the host's own catch-all nor the other hosts' route steps in.
            ("POST one.test/a", "allow: GET, HEAD"),
            ("GET one.test/b", "one.test/{*rest}"),
            ("GET two.test/b", "/b"),
            ("GET three.test/a", "/a"),
        ],
    );
}

#[test]
fn what_a_lenient_upstream_would_serve_elsewhere_is_ambiguous() {
    expect(
        &["/api/{*rest}", "/api/v1/orders", "DELETE /api/v1/users/{id}", "/api/v1/caf%C3%A9"],
        &[
            ("GET /api/v1/orders", "/api/v1/orders"),
            ("GET /api/v1/other", "/api/{*rest}"),
            ("GET /api/v1/orders/", "ambiguous"),
            ("GET /api/v1/Orders", "ambiguous"),
            ("GET /API/v1/orders", "none"),
            // There it would be refused for its method: the catch-all must not help it out.
            ("GET /api/v1/users/7/", "ambiguous"),
            ("GET /api/V1/users/7", "ambiguous"),
            ("GET /api/v1/caf%c3%a9", "ambiguous"),
            ("GET /api/v1/CAF%C3%89", "ambiguous"),
        ],
    );
}

#[test]
fn a_lenient_reading_across_hosts_is_ambiguous_too() {
    expect(
        &["one.test/admin", "/{*rest}"],
        &[
            ("GET one.test/admin", "one.test/admin"),
            ("GET one.test/Admin", "ambiguous"),
            ("GET two.test/Admin", "/{*rest}"),
        ],
    );
}

#[test]
fn parameters_keep_their_case() {
    expect(
        &["/users/{id}", "/users/me"],
        &[("GET /users/AbC", "/users/{id}"), ("GET /users/ME", "ambiguous")],
    );
}

fn conflicts(routes: &[&str]) -> (bool, Vec<Conflict>) {
    let routes = routes.iter().map(|text| route(text)).collect();
    match Policy::new(routes, CredentialRules::default(), "test") {
        Ok(policy) => (true, policy.warnings()),
        Err(conflicts) => (false, conflicts),
    }
}

#[test]
fn equal_routes_are_refused() {
    for pair in [
        ["/a", "/a"],
        ["/a/{id}", "/a/{name}"],
        ["/{*a}", "/{*b}"],
        ["GET /a", "GET,POST /a"],
        ["GET /a", "HEAD /a"],
        ["a.test/a", "A.test/a"],
    ] {
        let equal = vec![Conflict::Equal { first: 0, second: 1 }];
        assert_eq!(conflicts(&pair), (false, equal), "{pair:?}");
    }
    for pair in [["/a", "GET /a"], ["GET /a", "POST /a"], ["a.test/a", "/a"], ["/a/{b}", "/a/b"]] {
        assert_eq!(conflicts(&pair), (true, vec![]), "{pair:?}");
    }
}

#[test]
fn routes_told_apart_only_by_an_exact_reader_are_warned_about_and_refused() {
    for pair in [["/a", "/A"], ["/a", "/a/"], ["GET /a", "POST /a/"], ["/a/{x}", "/a/{y}/"]] {
        let lookalike = vec![Conflict::Lookalike { first: 0, second: 1 }];
        assert_eq!(conflicts(&pair), (true, lookalike), "{pair:?}");
    }
    expect(&["/a", "/A"], &[("GET /a", "ambiguous"), ("GET /A", "ambiguous")]);
}

#[test]
fn dead_routes_are_warned_about() {
    let dead = vec![Conflict::Shadowed { first: 2, second: 0 }];
    assert_eq!(conflicts(&["/a/{*rest}", "/a/{x}", "/a/{x}/{*rest}"]), (true, dead.clone()));
    assert_eq!(conflicts(&["/a/{*rest}", "/a/{x}"]), (true, vec![]));
    assert_eq!(conflicts(&["/a/{*rest}", "/a/{x}/{y}", "/a/{x}/{*rest}"]), (true, vec![]));
}

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
