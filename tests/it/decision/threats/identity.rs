use super::*;

#[test]
fn nothing_a_client_sends_skips_the_decision() {
    for (name, value) in [
        ("x-original-url", "/public/a"),
        ("x-rewrite-url", "/public/a"),
        ("x-http-method-override", "OPTIONS"),
        ("x-middleware-subrequest", "1"),
        ("x-gatepost-user-id", "1"),
        ("user-agent", "kube-probe/1.29"),
        ("x-forwarded-for", "127.0.0.1"),
        ("connection", "x-api-key"),
        ("origin", "https://api.test"),
    ] {
        let request = Request::new("OPTIONS", "/api/v1/admin/x").header(name, value);
        assert_eq!(request.opening(&gateway()), "missing_key", "{name}");
    }
}

#[test]
fn an_address_in_ipv6_clothing_is_the_same_address() {
    let key = mint();
    let mut record = record(&key, &["*"]);
    record.allowed_ips = ["192.0.2.0/24".parse().expect("a network")].into();
    let mut request = Request::get("/api/v1/orders/7").key(&key);
    request.client = "::ffff:192.0.2.7".parse().expect("an address");
    assert!(request.judge(&gateway(), known(record)).is_ok());
}

#[test]
fn an_id_of_ours_with_a_secret_of_ones_own_is_no_key() {
    let (key, other) = (mint(), mint());
    assert!(id_key().minted(&other.lookup_id));
    let request = Request::get("/api/v1/orders/7").key(&other);
    let refusal = request.judge(&gateway(), known(record(&key, &["*"]))).expect_err("refused");
    assert_eq!(refusal.denial.code(), "invalid_key");
}
