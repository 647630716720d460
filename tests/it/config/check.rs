//! `gatepost check`.

use gatepost::cli::{Checked, check};

use super::File;

const GOOD: &str = r#"
[proxy]
listen = ["127.0.0.1:8080"]
[store]
url = "sqlite://gatepost.db"
[upstreams.app]
servers = ["127.0.0.1:3000"]

[[routes]]
name = "rest"
path = "/{*rest}"
require = []
upstream = "app"

[[routes]]
name = "orders-read"
path = "/orders/{id}"
methods = ["GET"]
require = ["orders:read"]
max_body = "1KiB"
websocket = true
upstream = "app"

[[routes]]
name = "health"
path = "/health"
host = "api.example.com"
public = true
upstream = "app"

[[tests]]
request = "GET /orders/7"
permissions = ["orders:*"]
expect = "allow"

[[tests]]
request = "GET /orders/7"
expect = "missing_key"
"#;

fn checked(file: &File) -> (Checked, String) {
    let mut out = Vec::new();
    let checked = check(&file.path(), &file.environment, &mut out).unwrap();
    (checked, file.printed(&String::from_utf8(out).unwrap()))
}

#[test]
fn a_good_file_shows_its_routes_in_match_order() {
    let (verdict, printed) = checked(&File::new(GOOD));
    assert_eq!(verdict, Checked::Valid, "{printed}");
    assert_eq!(printed, include_str!("check_good.txt"));
}

#[test]
fn a_failing_test_tells_what_came_instead() {
    let text = GOOD.replace("expect = \"missing_key\"", "expect = \"no_route\"");
    let (verdict, printed) = checked(&File::new(text));
    assert_eq!(verdict, Checked::Invalid);
    assert!(
        printed.starts_with(
            "gatepost.toml:36:1: error: GET /orders/7 without a key: \
             expected no_route, got missing_key\n"
        ),
        "{printed}"
    );
    assert!(printed.contains("Tests: 1 passed, 1 failed."), "{printed}");
}

#[test]
fn a_wrong_file_shows_its_problems() {
    let (verdict, printed) = checked(&File::new(GOOD.replace("require = []", "")));
    assert_eq!(verdict, Checked::Invalid);
    assert!(printed.starts_with("gatepost.toml:9:1: error: "), "{printed}");
}

#[test]
fn warnings_do_not_make_a_file_wrong() {
    let (verdict, printed) = checked(&File::new(GOOD).with("GATEPOST_TYPO", "x"));
    assert_eq!(verdict, Checked::Valid);
    assert!(printed.starts_with("GATEPOST_TYPO: warning: "), "{printed}");
}
