//! `gatepost explain`.

use gatepost::cli::{Explained, Probe, explain};
use gatepost::key::{Environment, Pattern};

use super::{BASE, File};

const ROUTES: &str = r#"
[[routes]]
name = "read"
path = "/orders/{id}"
methods = ["GET"]
require = ["orders:read"]
upstream = "app"

[[routes]]
name = "change"
path = "/orders/{id}"
methods = ["PATCH"]
require = ["orders:read", "orders:write"]
upstream = "app"

[[routes]]
name = "rest"
path = "/{*rest}"
require = []
upstream = "app"

[[routes]]
name = "partner"
path = "/orders/{id}"
host = "partner.example.com"
public = true
upstream = "app"

[[routes]]
name = "elsewhere"
path = "/users"
public = true
upstream = "app"
"#;

/// The answer to `METHOD PATH [PERMISSION…]`.
fn explained(method: &str, path: &str, permissions: Option<&[&str]>) -> (Explained, String) {
    let config = File::new(format!("{BASE}{ROUTES}")).load();
    let probe = Probe {
        method: method.parse().unwrap(),
        path: path.into(),
        host: None,
        permissions: permissions
            .map(|all| all.iter().map(|text| Pattern::parse(text).unwrap()).collect()),
        environment: Environment::default(),
    };
    let mut out = Vec::new();
    let verdict = explain(&config, &probe, &mut out).unwrap();
    (verdict, String::from_utf8(out).unwrap())
}

#[test]
fn an_allowed_request_shows_its_route_and_who_lost() {
    let (verdict, printed) = explained("GET", "/orders/7", Some(&["orders:*"]));
    assert_eq!(verdict, Explained::Allowed);
    assert_eq!(printed, include_str!("explain_allowed.txt"));
}

#[test]
fn a_denied_request_shows_what_is_missing() {
    let (verdict, printed) = explained("PATCH", "/orders/7", Some(&["orders:read"]));
    assert_eq!(verdict, Explained::Denied);
    let wanted = "verdict   denied: 403 insufficient_permissions: Insufficient permissions; missing orders:write\n";
    assert!(printed.contains(wanted), "{printed}");
}

#[test]
fn without_permissions_the_caller_has_no_key() {
    let (verdict, printed) = explained("GET", "/orders/7", None);
    assert_eq!(verdict, Explained::Denied);
    assert!(printed.contains("caller    without a key (--permission gives it one)\n"), "{printed}");
    assert!(printed.contains("verdict   denied: 401 missing_key"), "{printed}");
    assert!(printed.contains("route     read: "), "{printed}");
}

#[test]
fn a_public_route_needs_nothing() {
    let (verdict, printed) = explained("GET", "/users", None);
    assert_eq!(verdict, Explained::Allowed);
    assert!(printed.contains("needs     public\n"), "{printed}");
}

#[test]
fn a_request_that_reads_two_ways_has_no_route() {
    let (verdict, printed) = explained("GET", "/orders//7", Some(&["*"]));
    assert_eq!(verdict, Explained::Denied);
    assert!(printed.contains("route     none\nverdict   denied: 400 invalid_request"), "{printed}");
}
