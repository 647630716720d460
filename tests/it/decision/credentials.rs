//! Where keys are read from: the first source that holds one decides.

use gatepost::decision::{Credential, Opening, open};
use gatepost::key::{Digest, MintedKey};
use gatepost::policy::{CredentialRules, KeySource, Policy};

use super::fixture::{Request, RouteExt, mint, policy, policy_with, route};

fn every_source() -> Policy {
    let sources = vec![
        KeySource::Header("x-api-key".parse().expect("a name")),
        KeySource::Bearer,
        KeySource::Query("api_key".into()),
        KeySource::Cookie("key".into()),
    ];
    policy_with([route("/a").all_of(&["orders:read"])], CredentialRules { sources })
}

fn secret(key: &MintedKey) -> &str {
    key.secret.reveal()
}

/// Whose digest the question holds, or the denial.
fn asked(request: &Request, policy: &Policy) -> Result<Digest, &'static str> {
    match open(&request.view(), policy) {
        Opening::Ask(question) => Ok(*question.credential().digest()),
        Opening::Allow(_) => Err("allow"),
        Opening::Deny(refusal) => Err(refusal.denial.code()),
    }
}

fn bearer(key: &MintedKey) -> String {
    format!("Bearer {}", secret(key))
}

#[test]
fn each_source_is_read() {
    let key = mint();
    for request in [
        Request::get("/a").key(&key),
        Request::get("/a").header("authorization", bearer(&key)),
        Request::get("/a").header("authorization", bearer(&key).replace("Bearer ", "bEARER   ")),
        Request::get(format!("/a?x=1&api_key={}&y", secret(&key))),
        Request::get("/a").header("cookie", format!("a=b; key={}; c=d", secret(&key))),
        Request::get("/a")
            .header("cookie", "a=b")
            .header("cookie", format!("key={}", secret(&key))),
    ] {
        assert_eq!(asked(&request, &every_source()), Ok(key.digest));
    }
}

#[test]
fn sources_that_are_not_named_are_not_read() {
    let key = mint();
    let policy = policy([route("/a")]);
    let query = Request::get(format!("/a?api_key={}", secret(&key)));
    assert_eq!(asked(&query, &policy), Err("missing_key"));
    let cookie = Request::get("/a").header("cookie", format!("key={}", secret(&key)));
    assert_eq!(asked(&cookie, &policy), Err("missing_key"));
}

#[test]
fn absent_and_empty_are_missing() {
    for request in [
        Request::get("/a"),
        Request::get("/a").header("x-api-key", ""),
        Request::get("/a").header("x-api-key", "  "),
        Request::get("/a").header("authorization", "Bearer"),
        Request::get("/a").header("authorization", "Bearer  "),
        Request::get("/a").header("authorization", "Basic dXNlcjpwYXNz"),
        Request::get("/a?api_key="),
        Request::get("/a?api_key"),
        Request::get("/a?API_KEY=x"),
        Request::get("/a").header("cookie", "key=; other=1"),
    ] {
        assert_eq!(asked(&request, &every_source()), Err("missing_key"), "{:?}", request.headers);
    }
}

#[test]
fn an_empty_source_leaves_the_decision_to_the_next() {
    let key = mint();
    let request = Request::get("/a").header("x-api-key", "").header("authorization", bearer(&key));
    assert_eq!(asked(&request, &every_source()), Ok(key.digest));
}

#[test]
fn a_bad_first_is_never_rescued_by_a_second() {
    let request =
        Request::get("/a").header("x-api-key", "gp_bad").header("authorization", "Bearer x");
    assert_eq!(asked(&request, &every_source()), Err("invalid_key"));
    // Not even by a good one.
    let request =
        Request::get("/a").header("x-api-key", "bad").header("authorization", bearer(&mint()));
    assert_eq!(asked(&request, &every_source()), Err("ambiguous_credentials"));
}

#[test]
fn the_same_source_twice_is_ambiguous_even_if_equal() {
    let key = mint();
    let text = secret(&key);
    for request in [
        Request::get("/a").key(&key).key(&key),
        Request::get("/a").key(&key).header("x-api-key", ""),
        Request::get("/a")
            .header("authorization", bearer(&key))
            .header("authorization", bearer(&key)),
        Request::get("/a")
            .key(&key)
            .header("authorization", "Basic x")
            .header("authorization", "Basic y"),
        Request::get(format!("/a?api_key={text}&api_key={text}")),
        Request::get(format!("/a?api_key={text}&api_key")),
        Request::get("/a").header("cookie", format!("key={text}; key={text}")),
        Request::get("/a").header("cookie", format!("key={text}")).header("cookie", "key=x"),
    ] {
        assert_eq!(asked(&request, &every_source()), Err("ambiguous_credentials"));
    }
}

#[test]
fn a_second_key_of_ours_is_ambiguous_wherever_it_is() {
    let (key, other) = (mint(), mint());
    let request = || Request::get("/a").key(&key);
    for request in [
        request().header("authorization", bearer(&other)),
        request().header("authorization", bearer(&key)),
        request().header("authorization", secret(&other)),
        request().header("authorization", format!("Token {}", secret(&other))),
        request().header("cookie", "key=gp_anything"),
        Request::get("/a?api_key=gp_").key(&key),
    ] {
        assert_eq!(asked(&request, &every_source()), Err("ambiguous_credentials"));
    }
}

#[test]
fn an_authorization_that_is_not_ours_is_the_applications_own() {
    let key = mint();
    for own in
        ["Basic dXNlcjpwYXNz", "Bearer eyJhbGciOi.J9.x", "AWS4-HMAC-SHA256 Credential=gp_x/1"]
    {
        let request = Request::get("/a").key(&key).header("authorization", own);
        assert_eq!(asked(&request, &every_source()), Ok(key.digest), "{own}");
    }
}

#[test]
fn a_key_under_another_scheme_is_neither_overlooked_nor_taken() {
    let key = mint();
    for value in [secret(&key).to_owned(), format!("Basic {}", secret(&key))] {
        let request = Request::get("/a").header("authorization", value);
        assert_eq!(asked(&request, &every_source()), Err("invalid_key"));
    }
}

#[test]
fn keys_are_compared_byte_by_byte() {
    let key = mint();
    for other in [secret(&key).to_uppercase(), format!("\"{}\"", secret(&key))] {
        let request = Request::get("/a").header("x-api-key", other);
        assert_ne!(asked(&request, &every_source()), Ok(key.digest));
    }
    let escaped = secret(&key).replacen('g', "%67", 1);
    assert_ne!(
        asked(&Request::get(format!("/a?api_key={escaped}")), &every_source()),
        Ok(key.digest)
    );
}

#[test]
fn keys_of_other_systems_are_asked_for_by_digest_alone() {
    let request = Request::get("/a").header("x-api-key", "sk_live_abc");
    let Opening::Ask(question) = open(&request.view(), &every_source()) else { panic!("asks") };
    let digest = Digest::of(b"sk_live_abc");
    assert_eq!(*question.credential(), Credential::Foreign { digest });
    // A megabyte of them is not worth a hash.
    let long = Request::get("/a").header("x-api-key", "x".repeat(1025));
    assert_eq!(asked(&long, &every_source()), Err("invalid_key"));
}

#[test]
fn a_question_shows_no_key() {
    let key = mint();
    let opening = open(&Request::get("/a").key(&key).view(), &every_source());
    assert!(!format!("{opening:?}").contains(&secret(&key)[26..]));
}
