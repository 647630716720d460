//! No credential of ours reaches the upstream, and nothing else is touched.

use gatepost::decision::{Admission, HeaderEdit};
use gatepost::policy::{CredentialRules, KeySource, Policy, Route};
use http::HeaderMap;
use proptest::prelude::*;

use super::fixture::{Request, RouteExt, known, mint, policy_with, record, route};

fn every_source(route: Route) -> Policy {
    let sources = vec![
        KeySource::Header("x-api-key".parse().expect("a name")),
        KeySource::Bearer,
        KeySource::Query("api_key".into()),
        KeySource::Cookie("key".into()),
    ];
    policy_with([route], CredentialRules { sources })
}

fn admit(request: &Request, policy: &Policy) -> Admission {
    let key = mint();
    let mut record = record(&key, &["*"]);
    if let Some(sent) = sent_digest(request, policy) {
        record.digest = sent;
    }
    request.judge(policy, known(record)).expect("admitted")
}

fn sent_digest(request: &Request, policy: &Policy) -> Option<gatepost::key::Digest> {
    match gatepost::decision::open(&request.view(), policy) {
        gatepost::decision::Opening::Ask(question) => Some(*question.credential().digest()),
        _ => None,
    }
}

/// Headers and target as they would be forwarded.
fn forwarded(request: &Request, policy: &Policy) -> (HeaderMap, String) {
    let admission = admit(request, policy);
    let strip = admission.strip(&policy.credentials);
    let mut headers = request.headers.clone();
    for edit in strip.header_edits(&request.headers) {
        match edit {
            HeaderEdit::Remove(name) => drop(headers.remove(name)),
            HeaderEdit::Replace(name, value) => drop(headers.insert(name, value)),
        }
    }
    headers.remove("host");
    let target = String::from_utf8(strip.target(&request.target).into_owned()).expect("ASCII");
    (headers, target)
}

fn headers(request: &Request, policy: &Policy) -> Vec<String> {
    let (headers, _) = forwarded(request, policy);
    let lines = headers.iter().map(|(n, v)| format!("{n}: {}", v.to_str().expect("ASCII")));
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

#[test]
fn the_credential_is_removed_from_wherever_it_was_read() {
    let key = mint();
    let secret = key.secret.reveal();
    let policy = every_source(route("/a"));
    for request in [
        Request::get("/a").key(&key),
        Request::get("/a").header("authorization", format!("Bearer {secret}")),
        Request::get(format!("/a?api_key={secret}")),
        Request::get("/a").header("cookie", format!("key={secret}")),
    ] {
        assert_eq!(forwarded(&request, &policy), (HeaderMap::new(), "/a".to_owned()));
    }
}

#[test]
fn what_belongs_to_the_application_passes() {
    let key = mint();
    let secret = key.secret.reveal();
    let policy = every_source(route("/a"));
    let request =
        Request::get("/a?b=%2f;&api_key2=x&").key(&key).header("authorization", "Bearer app");
    let request = request.header("cookie", "a=\"b\"; keys=1").header("accept", "*/*");
    assert_eq!(
        headers(&request, &policy),
        ["accept: */*", "authorization: Bearer app", "cookie: a=\"b\"; keys=1"]
    );
    assert_eq!(forwarded(&request, &policy).1, "/a?b=%2f;&api_key2=x&");

    let cookie = Request::get("/a").header("cookie", format!("a=1;key={secret} ;  b=2"));
    assert_eq!(headers(&cookie, &policy), ["cookie: a=1; b=2"]);
    let query = Request::get(format!("/a?&x=%zz&api_key={secret}&&y=1"));
    assert_eq!(forwarded(&query, &policy).1, "/a?&x=%zz&&y=1");
}

#[test]
fn an_imported_key_in_authorization_is_removed_too() {
    let policy = every_source(route("/a"));
    let request = Request::get("/a").header("authorization", "Bearer sk_other_system");
    assert!(headers(&request, &policy).is_empty());
}

#[test]
fn public_routes_strip_all_the_same_but_leave_the_application_its_own() {
    let key = mint();
    let secret = key.secret.reveal();
    let policy = every_source(route("/a").public());
    let request = Request::get(format!("/a?api_key={secret}"))
        .key(&key)
        .key(&key)
        .header("authorization", format!("Bearer {secret}"))
        .header("cookie", format!("key={secret}"));
    assert_eq!(forwarded(&request, &policy), (HeaderMap::new(), "/a".to_owned()));
    let request = Request::get("/a").header("authorization", secret);
    assert!(headers(&request, &policy).is_empty());
    let request = Request::get("/a").header("authorization", "Bearer app");
    assert_eq!(headers(&request, &policy), ["authorization: Bearer app"]);
}

#[test]
fn a_route_may_forward_the_key() {
    let key = mint();
    let policy = every_source(route("/a").with(|options| options.forward_key = true));
    let request = Request::get("/a").key(&key);
    assert_eq!(headers(&request, &policy), [format!("x-api-key: {}", key.secret.reveal())]);
}

proptest! {
    #[test]
    fn the_path_is_never_touched_and_no_key_is_left(query in "(&|=|api_key|api_key=|x|%61|;|\\?){0,12}") {
        let policy = every_source(route("/a").public());
        let request = Request::get(format!("/a?{query}"));
        let target = forwarded(&request, &policy).1;
        prop_assert!(target == "/a" || target.starts_with("/a?"));
        let left = target.split_once('?').map_or("", |(_, query)| query);
        let is_key = |pair: &&str| pair.split('=').next() == Some("api_key");
        prop_assert_eq!(left.split('&').find(is_key), None);
        let kept: Vec<_> = query.split('&').filter(|pair| !is_key(pair)).collect();
        prop_assert_eq!(left, kept.join("&"));
    }
}
