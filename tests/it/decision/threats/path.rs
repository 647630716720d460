use super::*;

fn assert_target_refused(targets: &[&str]) {
    for target in targets {
        let refusal = refused(&Request::get(target));
        assert_eq!(refusal.denial.code(), "invalid_request", "{target}");
        assert!(refusal.detail.is_some(), "{target}: the client is told why");
    }
}

#[test]
fn oathkeeper_dot_segments_out_of_a_public_folder() {
    assert_target_refused(&[
        "/public/../api/v1/admin/x",
        "/public/./x",
        "/public/..",
        "/public/%2e%2e/api/v1/admin/x",
        "/public/.%2e/x",
    ]);
}

#[test]
fn traefik_encoded_delimiters() {
    assert_target_refused(&[
        "/public/..%2fapi",
        "/public/x%2Fy",
        "/public/..%5capi",
        "/public/%252e%252e/x",
    ]);
}

#[test]
fn envoy_and_keycloak_matrix_parameters() {
    assert_target_refused(&["/public/..;/api", "/public/x;y=1", "/public/.;/x", "/public/..%3bx/"]);
}

#[test]
fn keycloak_trailing_slash() {
    assert_eq!(refused(&Request::get("/api/v1/orders/7/")).denial.code(), "no_route");
    assert_eq!(refused(&Request::get("/api/v1/orders/")).denial.code(), "no_route");
}

#[test]
fn grpc_go_target_without_a_slash() {
    assert_target_refused(&["api/v1/admin/x", "*", "http://api.test/public/a", "?x", ""]);
}

#[test]
fn pomerium_and_oauth2_proxy_fragments() {
    assert_target_refused(&["/public/a#/../api/v1/admin/x", "/public/a?b#c", "/public/a%23b"]);
}

#[test]
fn oauth2_proxy_the_query_is_no_part_of_the_match() {
    assert_eq!(refused(&Request::get("/api/v1/admin/x?/public/a")).denial.code(), "missing_key");
    assert_eq!(refused(&Request::get("/x?path=/public/a")).denial.code(), "no_route");
}

#[test]
fn apisix_what_matches_nothing_is_refused() {
    for target in ["/", "/api", "/api/v1/unknown", "/publics/a", "/public"] {
        assert_eq!(refused(&Request::get(target)).denial.code(), "no_route", "{target}");
    }
}

#[test]
fn tomcat_iis_and_php_backslashes_nul_and_overlong_utf8() {
    assert_target_refused(&[
        "/public/..\\api",
        "/public/a\0b",
        "/public/a%00b",
        "/public/%c0%af",
        "/public/%c0%ae%c0%ae/x",
        "/public/%u002e%u002e/x",
        "/public/%EF%BC%8E%EF%BC%8E/x",
        "/public/..%EF%BC%8Fapi",
    ]);
}

#[test]
fn parameters_take_no_dot_segments() {
    assert_target_refused(&[
        "/api/v1/orders/..",
        "/api/v1/orders/%2e%2e",
        "/api/v1/orders/..;x",
        "/api/v1/orders/..%5cadmin",
    ]);
}

#[test]
fn double_slashes_merge_somewhere() {
    assert_target_refused(&["//public/a", "/public//a", "/api//v1/admin/x"]);
}

#[test]
fn long_targets_have_a_denial_of_their_own() {
    let target = format!("/public/{}", "a".repeat(8 * 1024));
    assert_eq!(refused(&Request::get(&target[..8 * 1024 + 1])).denial.code(), "uri_too_long");
    assert_eq!(Request::get(&target[..8 * 1024]).opening(&gateway()), "allow");
}
