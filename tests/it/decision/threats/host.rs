use super::*;

#[test]
fn exactly_one_valid_host() {
    assert_eq!(wire(&[GET, HOST]), "allow");
    assert_eq!(wire(&["GET /public/a HTTP/1.0", HOST]), "allow");
    assert_invalid(&wire(&[GET]), "missing");
    assert_invalid(&wire(&["GET /public/a HTTP/1.0"]), "missing");
    assert_invalid(&wire(&[GET, HOST, HOST]), "twice");
    for host in ["", "a b", "a,b", "user@a", "a/b", "a:x", "a:99999", "a..b", "a.", "a#b"] {
        assert_invalid(&wire(&[GET, &format!("Host: {host}")]), "not a host name");
    }
}

#[test]
fn host_and_authority_agree() {
    let mut request = Request::get("/public/a");
    request.version = Version::HTTP_2;
    for (authority, opening) in [
        (Some("api.test"), "allow"),
        (Some("API.test"), "allow"),
        (Some("evil.test"), "invalid_request"),
        (Some("api.test:80"), "invalid_request"),
        (None, "allow"),
    ] {
        request.authority = authority.map(str::to_owned);
        assert_eq!(request.opening(&gateway()), opening, "{authority:?}");
    }
    request.headers.remove(header::HOST);
    assert_eq!(request.opening(&gateway()), "invalid_request");
    request.authority = Some("api.test".to_owned());
    assert_eq!(request.opening(&gateway()), "allow");
}

#[test]
fn the_case_and_port_of_a_host_choose_no_other_route() {
    let policy = policy([route("api.test/a"), route("/a").public()]);
    for host in ["api.test", "API.TEST", "api.test:8080", "Api.test:1"] {
        assert_eq!(Request::get("/a").host(host).opening(&policy), "missing_key", "{host}");
    }
    assert_eq!(Request::get("/a").host("api.test.").opening(&policy), "invalid_request");
}
