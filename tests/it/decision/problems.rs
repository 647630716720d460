//! Refusals as clients read them.

use std::time::Duration;

use gatepost::decision::{Answer, Denial, Failure, ProblemAnswer, Refusal};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Request, RouteExt, known, mint, permissions, policy, record, route};

const ID: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

fn answer(refusal: &Refusal) -> (ProblemAnswer, Value) {
    let answer = ProblemAnswer::new(refusal, "orders", ID);
    let body = serde_json::from_slice(&answer.body).expect("JSON");
    (answer, body)
}

fn header<'a>(answer: &'a ProblemAnswer, name: &str) -> Vec<&'a str> {
    let named = answer.headers.iter().filter(|(header, _)| header == name);
    named.map(|(_, value)| value.to_str().expect("ASCII")).collect()
}

#[test]
fn every_denial_is_a_problem_of_its_own() {
    for denial in Denial::ALL {
        let (answer, body) = answer(&Refusal::new(*denial));
        assert_eq!(header(&answer, "content-type"), ["application/problem+json"]);
        assert_eq!(header(&answer, "cache-control"), ["no-store"]);
        assert_eq!(answer.status, denial.status());
        assert_eq!(body["status"], denial.status().as_u16());
        assert_eq!(body["code"], denial.code());
        assert_eq!(body["type"], format!("urn:gatepost:denial:{}", denial.code()));
        assert_eq!(body["request_id"], "01900000-0000-7000-8000-000000000001");
        let challenges = if denial.status() == 401 { 2 } else { 0 };
        assert_eq!(header(&answer, "www-authenticate").len(), challenges, "{denial:?}");
        let waits = matches!(denial.status().as_u16(), 429 | 503);
        assert_eq!(body.get("retry_after").is_some(), waits, "{denial:?}");
        assert_eq!(header(&answer, "retry-after").len(), usize::from(waits));
    }
}

#[test]
fn missing_permissions_are_named() {
    let key = mint();
    let policy = policy([route("/a").all_of(&["orders:read", "orders:write", "users:read"])]);
    let refusal = Request::get("/a").key(&key).judge(&policy, known(record(&key, &["*:read"])));
    let (answer, body) = answer(&refusal.expect_err("refused"));
    assert_eq!(
        body,
        json!({
            "type": "urn:gatepost:denial:insufficient_permissions",
            "title": "Insufficient permissions",
            "status": 403,
            "detail": "Insufficient permissions",
            "code": "insufficient_permissions",
            "request_id": "01900000-0000-7000-8000-000000000001",
            "required": ["orders:write"],
        })
    );
    assert!(header(&answer, "www-authenticate").is_empty());
}

#[test]
fn challenges_say_what_was_wrong_only_if_something_was_sent() {
    let (missing, _) = answer(&Denial::MissingKey.into());
    assert_eq!(
        header(&missing, "www-authenticate"),
        ["ApiKey realm=\"orders\"", "Bearer realm=\"orders\""]
    );
    let (invalid, _) = answer(&Denial::InvalidKey.into());
    assert_eq!(
        header(&invalid, "www-authenticate"),
        ["ApiKey realm=\"orders\"", "Bearer realm=\"orders\", error=\"invalid_token\""]
    );
}

#[test]
fn a_realm_cannot_break_out_of_its_quotes() {
    let realm = "a\"b\\c\r\nX-Evil: 1é";
    let answer = ProblemAnswer::new(&Denial::MissingKey.into(), realm, ID);
    assert_eq!(header(&answer, "www-authenticate")[0], r#"ApiKey realm="a\"b\\cX-Evil: 1""#);
}

#[test]
fn allow_names_the_methods_of_the_path() {
    let policy = policy([route("GET /a"), route("DELETE /a")]);
    let refusal = Request::new("PUT", "/a").judge(&policy, Answer::Unknown).expect_err("refused");
    assert_eq!(header(&answer(&refusal).0, "allow"), ["DELETE, GET, HEAD"]);
}

#[test]
fn waits_are_whole_seconds_and_never_none() {
    for (wait, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (90_000, 90)] {
        let retry_after = Some(Duration::from_millis(wait));
        let refusal = Refusal { retry_after, ..Refusal::new(Denial::RateLimited) };
        let (answer, body) = answer(&refusal);
        assert_eq!(header(&answer, "retry-after"), [seconds.to_string()]);
        assert_eq!(body["retry_after"], seconds);
    }
}

#[test]
fn the_store_being_away_is_never_a_401() {
    let key = mint();
    let policy = policy([route("/a").all_of(&["orders:read"])]);
    let refusal = Request::get("/a").key(&key).judge(&policy, Answer::Unavailable);
    let (answer, _) = answer(&refusal.expect_err("refused"));
    assert_eq!((answer.status.as_u16(), header(&answer, "retry-after")), (503, vec!["1"]));
}

#[test]
fn a_key_is_named_only_once_its_secret_was_right() {
    let (key, other) = (mint(), mint());
    let policy = policy([route("/a").any_of(&["orders:read"])]);
    let judge =
        |key, answer| Request::get("/a").key(key).judge(&policy, answer).expect_err("refused");
    let guessed = judge(&other, known(record(&key, &["*"])));
    assert!(guessed.key.is_none() && guessed.route.is_some());
    let refused = judge(&key, known(record(&key, &["users:read"])));
    assert!(refused.key.is_some() && refused.route.is_some());
    assert_eq!(refused.missing, *permissions(&["orders:read"]));
}

#[test]
fn failures_behind_the_gateway_are_problems_too() {
    for failure in Failure::ALL {
        let answer = ProblemAnswer::failure(*failure, ID);
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(answer.status, failure.status());
        assert_eq!(body["code"], failure.code());
        assert_eq!(body["type"], format!("urn:gatepost:failure:{}", failure.code()));
    }
}
