use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::grpc::GrpcStatus;
use super::standing::{Standing, whole_seconds};
use super::{Denial, Failure, Refusal};
use crate::key::Permission;

/// A refusal as every door answers it: RFC 9457 `application/problem+json`.
#[derive(Clone, Debug)]
pub struct ProblemAnswer {
    pub status: StatusCode,
    /// Everything but `Content-Length`: type, `Cache-Control: no-store`, `WWW-Authenticate`
    /// (RFC 9110, 6750) with 401, `Allow` with 405, `Retry-After`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
    pub(super) code: &'static str,
    pub(super) detail: &'static str,
    pub(super) grpc: GrpcStatus,
}

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'static str,
    code: &'static str,
    request_id: Uuid,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    required: &'a [Permission],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl ProblemAnswer {
    pub fn new(refusal: &Refusal, realm: &str, request_id: Uuid) -> Self {
        let denial = refusal.denial;
        let retry_after = retry_after(refusal);
        let problem = Problem {
            kind: format!("urn:gatepost:denial:{}", denial.code()),
            title: denial.title(),
            status: denial.status().as_u16(),
            detail: refusal.detail(),
            code: denial.code(),
            request_id,
            required: &refusal.missing,
            retry_after,
        };
        let mut answer = Self::of(&problem, denial.into());
        if denial.status() == StatusCode::UNAUTHORIZED {
            answer.headers.extend(challenges(denial, realm).map(|value| (WWW_AUTHENTICATE, value)));
        }
        answer.headers.extend(refusal.allow.iter().map(|m| (ALLOW, m.to_allow_header())));
        answer.headers.extend(retry_after.map(|seconds| (RETRY_AFTER, seconds.into())));
        answer.tell(refusal.standing.as_deref());
        answer
    }

    /// The answer to a request that was let in and then failed.
    pub fn failure(failure: Failure, request_id: Uuid) -> Self {
        let problem = Problem {
            kind: format!("urn:gatepost:failure:{}", failure.code()),
            title: failure.status().canonical_reason().unwrap_or("Failure"),
            status: failure.status().as_u16(),
            detail: failure.detail(),
            code: failure.code(),
            request_id,
            required: &[],
            retry_after: None,
        };
        Self::of(&problem, failure.into())
    }

    /// Adds where the caller stands with their limits.
    pub fn tell(&mut self, standing: Option<&Standing>) {
        let headers = standing.into_iter().flat_map(Standing::headers);
        self.headers.extend(headers.map(|(name, value)| (name.clone(), value)));
    }

    fn of(problem: &Problem<'_>, grpc: GrpcStatus) -> Self {
        Self {
            status: StatusCode::from_u16(problem.status).unwrap_or(StatusCode::FORBIDDEN),
            headers: vec![
                (CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ],
            // Strings and numbers always have a JSON form.
            body: serde_json::to_vec(problem).unwrap_or_default(),
            code: problem.code,
            detail: problem.detail,
            grpc,
        }
    }
}

/// Whole seconds, rounded up, and never "at once": every refusal for a time says how long.
fn retry_after(refusal: &Refusal) -> Option<u64> {
    let for_a_time = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE]
        .contains(&refusal.denial.status());
    let wait = refusal.retry_after.or(for_a_time.then_some(Duration::ZERO))?;
    Some(whole_seconds(wait).max(1))
}

/// One challenge for each way to send a key. RFC 6750 wants no `error` where nothing was sent.
fn challenges(denial: Denial, realm: &str) -> [HeaderValue; 2] {
    let realm = quoted(realm);
    let error = if denial == Denial::MissingKey { "" } else { ", error=\"invalid_token\"" };
    // `quoted` leaves nothing that a header value may not hold.
    let value =
        |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("ApiKey"));
    [value(format!("ApiKey realm={realm}")), value(format!("Bearer realm={realm}{error}"))]
}

/// A quoted-string of RFC 9110; what is not printable ASCII has no place in a header.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars().filter(|c| matches!(c, ' '..='~')) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted + "\""
}
