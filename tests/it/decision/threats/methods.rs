use super::*;

#[test]
fn connect_trace_and_strangers() {
    for method in ["CONNECT", "TRACE", "get", "FOO", "PRI"] {
        let refusal = refused(&Request::new(method, "/public/a"));
        assert_eq!(refusal.denial.code(), "invalid_request", "{method}");
    }
    assert_eq!(Request::new("PROPFIND", "/public/a").opening(&gateway()), "allow");
}

fn websocket(request: Request) -> Request {
    request.header("connection", "keep-alive, Upgrade").header("upgrade", "websocket")
}

#[test]
fn an_upgrade_changes_nothing_before_it_is_refused() {
    let upgrade = |target: &str| websocket(Request::get(target));
    assert_eq!(upgrade("/api/v1/admin/x").opening(&gateway()), "missing_key");
    assert_eq!(upgrade("/none").opening(&gateway()), "no_route");
    assert_eq!(upgrade("/public/a").opening(&gateway()), "invalid_request");
    assert_eq!(upgrade("/socket").opening(&gateway()), "allow");
}

#[test]
fn only_websockets_and_only_from_a_plain_get() {
    let upgrade =
        |to: &str| Request::get("/socket").header("connection", "Upgrade").header("upgrade", to);
    assert_eq!(upgrade("WebSocket").opening(&gateway()), "allow");
    for request in [
        upgrade("h2c"),
        upgrade("websocket, h2c"),
        upgrade("websocket").header("upgrade", "h2c"),
        upgrade("websocket").header("content-length", "5"),
        upgrade("websocket").header("transfer-encoding", "chunked"),
        websocket(Request::new("POST", "/socket")),
        Request::get("/socket").header("upgrade", "websocket"),
        Request::get("/socket").header("upgrade", "websocket").header("connection", "close, x"),
    ] {
        assert_eq!(request.opening(&gateway()), "invalid_request", "{:?}", request.headers);
    }
}

#[test]
fn a_key_does_not_buy_an_upgrade() {
    let key = mint();
    let request = Request::get("/api/v1/orders/7").key(&key).header("upgrade", "websocket");
    let verdict = request.judge(&gateway(), known(record(&key, &["*"])));
    let refusal = verdict.expect_err("refused");
    assert_eq!(refusal.denial.code(), "invalid_request");
    assert!(refusal.key.is_some(), "its usage is recorded as the key's");
}
