//! What a route must say, and which routes cannot stand beside each other.

use super::{BASE, File};

/// A file with these routes alone.
fn routes(text: &str) -> File {
    File::new(format!("{BASE}{text}"))
}

/// A route that is right but for what the lines given say.
fn route(lines: &str) -> String {
    format!("[[routes]]\nname = \"a\"\npath = \"/a\"\nupstream = \"app\"\n{lines}\n")
}

#[track_caller]
fn one_problem(lines: &str) -> String {
    let told = routes(&route(lines)).refused();
    assert_eq!(told.matches(": error: ").count(), 1, "{told}");
    told
}

#[test]
fn a_route_says_who_may_call_in_exactly_one_way() {
    let none = one_problem("");
    assert!(
        none.contains("gatepost.toml:8:1: error: the route does not say who may call"),
        "{none}"
    );
    assert!(one_problem("public = false").contains("does not say who may call"));
    let both = "exclude each other";
    assert!(one_problem("require = []\npublic = true").contains(both));
    assert!(one_problem("require_any = [\"a:b\"]\npublic = true").contains(both));
    assert!(one_problem("require = []\nrequire_any = [\"a:b\"]").contains(both));
    routes(&route("require = []\npublic = false")).load();
    routes(&route("public = true")).load();
}

#[test]
fn a_mistyped_requirement_is_not_a_public_route() {
    let told = routes(&route("requires = [\"orders:read\"]")).refused();
    assert!(told.contains("hint: did you mean `require`?"), "{told}");
}

#[test]
fn requirements_are_permissions_by_name() {
    assert!(one_problem("require = [\"orders:*\"]").contains("`orders:*` is a wildcard"));
    assert!(one_problem("require_any = [\"*\"]").contains("`*` is a wildcard"));
    assert!(one_problem("require = [\"Orders\"]").contains("is not a permission"));
    assert!(one_problem("require_any = []").contains("nobody could call"));
}

#[test]
fn methods_are_registered_names() {
    let told = one_problem("require = []\nmethods = [\"get\"]");
    assert!(told.contains("did you mean `GET`?"), "{told}");
    assert!(one_problem("require = []\nmethods = []").contains("leave `methods` out"));
    assert!(one_problem("require = []\nmethods = [\"CONNECT\"]").contains("never forwarded"));
}

#[test]
fn paths_hosts_and_options_are_judged() {
    let with_path = |path: &str| {
        routes(&route("require = []").replace("\"/a\"", &format!("\"{path}\""))).refused()
    };
    for path in ["", "a", "/a//b", "/{a", "/{*rest}/b", "/a/../b", "/a b"] {
        assert!(with_path(path).contains("gatepost.toml:10:8: error: "), "{path}");
    }
    assert!(one_problem("require = []\nhost = \"*.example.com\"").contains("hosts are exact"));
    assert!(one_problem("require = []\nhost = \"a.example:80\"").contains("the port out"));
    assert!(one_problem("require = []\nmax_body = \"10MB\"").contains("did you mean `MiB`"));
    assert!(one_problem("require = []\nenvironments = [\"Live\"]").contains("not an environment"));
}

#[test]
fn an_upstream_must_be_known() {
    let text = route("require = []").replace("\"app\"", "\"apps\"");
    let told = routes(&text).refused();
    assert!(told.contains("`apps` is not an upstream\n  hint: did you mean `app`?"), "{told}");
    let told = routes(&route("require = []").replace("\"app\"", "\"zzz\"")).refused();
    assert!(told.contains("hint: known are app, management"), "{told}");
    routes(&route("require = []").replace("\"app\"", "\"management\"")).load();
}

#[test]
fn names_are_unique_labels() {
    let two = route("require = []") + &route("require = []").replace("/a", "/b");
    let told = routes(&two).refused();
    assert!(told.contains("a second route is named `a`"), "{told}");
    assert!(told.contains("the other one is at 9:8"), "{told}");
    let none = route("require = []").replace("\"a\"", "\"none\"");
    assert!(routes(&none).refused().contains("metric label"));
}

#[test]
fn equal_routes_are_refused_with_both_places() {
    let two = route("require = []") + &route("public = true").replace("\"a\"", "\"b\"");
    let told = routes(&two).refused();
    assert!(told.contains("gatepost.toml:13:1: error: routes `a` and `b`"), "{told}");
    assert!(told.contains("the other one is at 8:1"), "{told}");
}

#[test]
fn parameters_of_other_names_do_not_make_routes_differ() {
    let first = route("require = []").replace("/a", "/{id}");
    let second = route("require = []").replace("\"a\"", "\"b\"").replace("\"/a\"", "\"/{name}\"");
    assert!(routes(&(first + &second)).refused().contains("match the same requests"));
}

#[test]
fn a_route_that_can_never_match_is_odd() {
    let [one, more, rest] =
        [("one", "/a/{x}"), ("more", "/a/{x}/{*y}"), ("rest", "/a/{*z}")].map(|(name, path)| {
            route("require = []")
                .replace("\"a\"", &format!("{name:?}"))
                .replace("\"/a\"", &format!("{path:?}"))
        });
    let told = routes(&(one + &more + &rest)).warned();
    assert!(
        told.starts_with("gatepost.toml:18:1: warning: route `rest` can never match"),
        "{told}"
    );
}

#[test]
fn lookalike_routes_are_odd() {
    let second = route("require = []").replace("\"a\"", "\"b\"").replace("\"/a\"", "\"/A\"");
    let told = routes(&(route("public = true") + &second)).warned();
    assert!(told.contains("warning: routes `a` and `b` differ only in case"), "{told}");
}

#[test]
fn an_exception_needs_a_path_without_a_rest() {
    for key in ["allow_encoded_slash", "allow_semicolon"] {
        routes(&route(&format!("require = []\n{key} = true"))).load();
        let rest = route(&format!("require = []\n{key} = true")).replace("\"/a\"", "\"/a/{*x}\"");
        let told = routes(&rest).refused();
        assert!(told.contains(&format!("`{key}` is impossible on a path")), "{told}");
        routes(&rest.replace("true", "false")).load();
    }
}

#[test]
fn who_may_call_from_a_browser_is_said_in_whole() {
    let cors = |rules: &str| format!("require = []\ncors = {{ {rules} }}");
    for (rules, told) in [
        ("", "`origins` is missing"),
        ("origins = []", "`origins` is empty"),
        ("origins = [\"app.example.com\"]", "is not an origin"),
        ("origins = [\"https://app.example.com/\"]", "is not an origin"),
        ("origins = [\"https://App.example.com\"]", "is not an origin"),
        ("origins = [\"null\"]", "is not an origin"),
        ("origins = [\"*\"], credentials = true", "would let any page act for its visitor"),
        ("origins = [\"*\"], methods = [\"FETCH\"]", "is not a method"),
        ("origins = [\"*\"], headers = [\"a b\"]", "is not the name of a header"),
        ("origins = [\"*\"], origin = \"*\"", "did you mean `origins`?"),
    ] {
        let problem = one_problem(&cors(rules));
        assert!(problem.contains(told), "{rules}: {problem}");
    }
    routes(&route(&cors("origins = [\"https://a.test:8443\"], credentials = true"))).load();
}

#[test]
fn a_route_in_shadow_is_loud() {
    let told = routes(&route("require = []\nshadow = true")).warned();
    assert!(told.contains("warning: the route is in shadow"), "{told}");
    assert_eq!(routes(&route("require = []\nshadow = false")).warned(), "");
    let local = route("require = []\nshadow = true").replace("\"app\"", "\"management\"");
    let told = routes(&local).refused();
    assert!(told.contains("`management` judges every request itself"), "{told}");
}

#[test]
fn calls_of_grpc_have_a_route_of_their_own() {
    routes(&route("require = []\ngrpc = true")).load();
    let told = one_problem("require = []\ngrpc = true\nwebsocket = true");
    assert!(told.contains("`grpc` goes neither with `websocket`"), "{told}");
}
