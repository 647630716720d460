use gatepost::policy::{Conflict, CredentialRules, Match, MethodSet, Policy};

use super::fixture::{policy, route};

/// The name of the route found (in these tests: its text), or what came instead.
pub fn find(policy: &Policy, method: &str, host: &str, path: &str) -> String {
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

    let every = MethodSet::registered().join(",") + " /a";
    let dead = vec![Conflict::Shadowed { first: 0, second: 1 }];
    assert_eq!(conflicts(&[&every, "/a"]), (true, dead));
    assert_eq!(conflicts(&["GET,POST /a", "/a"]), (true, vec![]));
}
