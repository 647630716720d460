//! Errors as answers: RFC 9457 `application/problem+json`, of the shape that refusals have.

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ApiError;
use crate::decision::{Failure, ProblemAnswer};

const EXAMPLE_ID: Uuid = Uuid::from_u128(0x0192_f3a0_0000_7000_8000_0000_0000_00ab);

impl ApiError {
    pub fn answer(&self, realm: &str, request_id: Uuid) -> Response {
        match self {
            ApiError::Refused(refusal) => respond(ProblemAnswer::new(refusal, realm, request_id)),
            ApiError::Internal { .. } => {
                respond(ProblemAnswer::failure(Failure::Internal, request_id))
            }
            _ => self.problem(request_id),
        }
    }

    /// Its body, as the document of the API shows it.
    pub fn example(&self) -> Value {
        let text = match self {
            ApiError::Refused(refusal) => ProblemAnswer::new(refusal, "gatepost", EXAMPLE_ID).body,
            ApiError::Internal { .. } => ProblemAnswer::failure(Failure::Internal, EXAMPLE_ID).body,
            _ => return json!(self.members(EXAMPLE_ID)),
        };
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn members(&self, request_id: Uuid) -> Problem<'_> {
        let status = self.status();
        Problem {
            kind: format!("urn:gatepost:error:{}", self.code()),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.detail(),
            code: self.code(),
            request_id,
            field: self.about(),
            id: self.made(),
        }
    }

    fn problem(&self, request_id: Uuid) -> Response {
        let (status, problem) = (self.status(), self.members(request_id));
        let media_type = [(CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, media_type, Json(problem)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: String,
    code: &'a str,
    request_id: Uuid,
    /// The member or parameter to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// What was made by the request that this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

fn respond(answer: ProblemAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    for (name, value) in answer.headers {
        // Not `insert`: a 401 has one challenge for each way to send a key.
        response.headers_mut().append(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http_body_util::BodyExt;

    use super::*;
    use crate::decision::{Denial, Refusal};
    use crate::key::Pattern;
    use crate::management::wire::Whose;
    use crate::store::StoreError;

    const CAUSE: &str = "password authentication failed for user gatepost";

    fn one_of_each() -> Vec<ApiError> {
        let pattern = Pattern::parse("orders:*").unwrap();
        vec![
            Refusal::new(Denial::InsufficientPermissions).into(),
            ApiError::field("name", "is required"),
            ApiError::InvalidParameter { field: "limit".into(), reason: "must be less".into() },
            ApiError::ExceedsOwnPermissions { pattern, whose: Whose::Giver },
            ApiError::NotFound,
            ApiError::Conflict { field: "email" },
            ApiError::Protected { reason: "the last admin stays" },
            ApiError::PreconditionFailed,
            ApiError::Repeated { id: Some("7".into()) },
            ApiError::IdempotencyKeyReused,
            ApiError::InvalidConfig { problems: "gatepost.toml:1:1: error".into() },
            ApiError::BodyTimeout,
            ApiError::BodyTooLarge,
            ApiError::UnsupportedMediaType,
            ApiError::MisdirectedRequest,
            ApiError::NotBootstrapped,
            ApiError::StoreUnavailable { cause: CAUSE.into() },
            ApiError::internal(CAUSE),
        ]
    }

    async fn read(error: &ApiError) -> (Response<()>, Value) {
        let (head, body) = error.answer("test", Uuid::nil()).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(head, ()), serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_error_is_a_problem_of_one_shape() {
        for error in one_of_each() {
            let (head, problem) = read(&error).await;
            assert_eq!(head.headers()[CONTENT_TYPE], "application/problem+json", "{error:?}");
            assert_eq!(problem["status"], head.status().as_u16(), "{error:?}");
            assert_eq!(problem["code"], error.code());
            assert_eq!(problem["request_id"], Uuid::nil().to_string());
            assert!(problem["type"].as_str().is_some_and(|kind| kind.ends_with(error.code())));
            assert!(problem["title"].is_string() && problem["detail"].is_string(), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_cause_is_for_the_log_alone() {
        for error in one_of_each().iter().filter(|error| error.cause().is_some()) {
            let (_, problem) = read(error).await;
            assert_eq!(error.cause(), Some(CAUSE));
            assert!(!problem.to_string().contains("password"), "{problem}");
        }
    }

    #[tokio::test]
    async fn what_will_pass_says_when_to_come_back() {
        for error in one_of_each() {
            let (head, _) = read(&error).await;
            let will_pass = head.status() == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(head.headers().contains_key(RETRY_AFTER), will_pass, "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_wrong_member_is_named() {
        let (head, problem) = read(&ApiError::field("expires_at", "is in the past")).await;
        assert_eq!(head.status(), StatusCode::BAD_REQUEST);
        assert_eq!(problem["field"], "expires_at");
        assert_eq!(problem["detail"], "`expires_at` is in the past");
        let (head, problem) = read(&StoreError::Conflict { field: "email" }.into()).await;
        assert_eq!(head.status(), StatusCode::CONFLICT);
        assert_eq!(problem["field"], "email");
    }

    #[test]
    fn no_two_errors_share_a_code() {
        let codes: BTreeSet<_> = one_of_each().iter().map(ApiError::code).collect();
        assert_eq!(codes.len(), one_of_each().len());
    }
}
