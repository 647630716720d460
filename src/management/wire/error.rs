use std::fmt::Display;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::decision::{Denial, Failure, Outcome, ProblemAnswer, Refusal};
use crate::key::Pattern;
use crate::store::StoreError;

/// Every way in which an operation can fail. What refuses a request before its operation is a
/// [`Denial`], and comes through [`ApiError::Refused`].
#[derive(Clone, Debug)]
pub enum ApiError {
    Refused(Box<Refusal>),
    /// `field` is `None` when it is the body as a whole.
    InvalidBody {
        field: Option<String>,
        reason: String,
    },
    InvalidParameter {
        field: String,
        reason: String,
    },
    ExceedsOwnPermissions {
        pattern: Pattern,
        whose: Whose,
    },
    /// Also what the caller may not know of.
    NotFound,
    Conflict {
        field: &'static str,
    },
    Protected {
        reason: &'static str,
    },
    BodyTimeout,
    BodyTooLarge,
    UnsupportedMediaType,
    MisdirectedRequest,
    NotBootstrapped,
    StoreUnavailable {
        cause: String,
    },
    Internal {
        cause: String,
    },
}

/// Whose permissions are exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Giver,
    Owner,
}

impl ApiError {
    pub fn field(field: &str, reason: impl Into<String>) -> Self {
        ApiError::InvalidBody { field: Some(field.to_owned()), reason: reason.into() }
    }

    pub fn internal(cause: impl Display) -> Self {
        ApiError::Internal { cause: cause.to_string() }
    }

    pub fn code(&self) -> &'static str {
        match self {
            ApiError::Refused(refusal) => refusal.denial.code(),
            ApiError::InvalidBody { .. } => "invalid_body",
            ApiError::InvalidParameter { .. } => "invalid_parameter",
            ApiError::ExceedsOwnPermissions { .. } => "exceeds_own_permissions",
            ApiError::NotFound => "not_found",
            ApiError::Conflict { .. } => "conflict",
            ApiError::Protected { .. } => "protected",
            ApiError::BodyTimeout => "body_timeout",
            ApiError::BodyTooLarge => Denial::BodyTooLarge.code(),
            ApiError::UnsupportedMediaType => "unsupported_media_type",
            ApiError::MisdirectedRequest => "misdirected_request",
            ApiError::NotBootstrapped => "not_bootstrapped",
            ApiError::StoreUnavailable { .. } => "store_unavailable",
            ApiError::Internal { .. } => Failure::Internal.code(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            ApiError::Refused(refusal) => refusal.denial.status(),
            ApiError::InvalidBody { .. } | ApiError::InvalidParameter { .. } => {
                StatusCode::BAD_REQUEST
            }
            ApiError::ExceedsOwnPermissions { .. } => StatusCode::FORBIDDEN,
            ApiError::NotFound => StatusCode::NOT_FOUND,
            ApiError::Conflict { .. } | ApiError::Protected { .. } => StatusCode::CONFLICT,
            ApiError::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            ApiError::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ApiError::MisdirectedRequest => StatusCode::MISDIRECTED_REQUEST,
            ApiError::NotBootstrapped | ApiError::StoreUnavailable { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ApiError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the client reads. It repeats what the client sent, never what we hold.
    fn detail(&self) -> String {
        match self {
            ApiError::Refused(refusal) => refusal.detail().into(),
            ApiError::InvalidBody { field: None, reason } => reason.clone(),
            ApiError::InvalidBody { field: Some(field), reason }
            | ApiError::InvalidParameter { field, reason } => format!("`{field}` {reason}"),
            ApiError::ExceedsOwnPermissions { pattern, whose: Whose::Giver } => {
                format!("`{pattern}` is more than you may give: you do not have it yourself")
            }
            ApiError::ExceedsOwnPermissions { pattern, whose: Whose::Owner } => {
                format!("`{pattern}` is more than the roles of the key's owner grant")
            }
            ApiError::NotFound => "There is nothing here, or nothing you may know of".into(),
            ApiError::Conflict { field } => format!("Another one has this `{field}` already"),
            ApiError::Protected { reason } => (*reason).into(),
            ApiError::BodyTimeout => "The body did not arrive in time".into(),
            ApiError::BodyTooLarge => "The body is larger than 256 KiB".into(),
            ApiError::UnsupportedMediaType => "The body must be application/json".into(),
            ApiError::MisdirectedRequest => {
                "This listener does not go by that Host; see `[management] hosts`".into()
            }
            ApiError::NotBootstrapped => {
                "There is no administrator yet: run `gatepost bootstrap`".into()
            }
            ApiError::StoreUnavailable { .. } => "The store cannot be reached right now".into(),
            ApiError::Internal { .. } => Failure::Internal.detail().into(),
        }
    }

    /// The member or parameter to look at.
    fn about(&self) -> Option<&str> {
        match self {
            ApiError::InvalidBody { field, .. } => field.as_deref(),
            ApiError::InvalidParameter { field, .. } => Some(field),
            ApiError::Conflict { field } => Some(field),
            _ => None,
        }
    }

    /// What the log says beside the code; the client never reads it.
    pub fn cause(&self) -> Option<&str> {
        match self {
            ApiError::StoreUnavailable { cause } | ApiError::Internal { cause } => Some(cause),
            _ => None,
        }
    }

    /// How the request counts.
    pub fn outcome(&self) -> Outcome {
        match self {
            ApiError::Refused(refusal) => Outcome::Deny(refusal.denial),
            ApiError::MisdirectedRequest => Outcome::Deny(Denial::InvalidRequest),
            ApiError::NotBootstrapped | ApiError::StoreUnavailable { .. } => {
                Outcome::Deny(Denial::AuthUnavailable)
            }
            ApiError::Internal { .. } => Outcome::Fail(Failure::Internal),
            // It was let in; that it asked for something wrong is the operation's answer.
            _ => Outcome::Allow,
        }
    }

    pub fn answer(&self, realm: &str, request_id: Uuid) -> Response {
        match self {
            ApiError::Refused(refusal) => respond(ProblemAnswer::new(refusal, realm, request_id)),
            ApiError::Internal { .. } => {
                respond(ProblemAnswer::failure(Failure::Internal, request_id))
            }
            _ => self.problem(request_id),
        }
    }

    fn problem(&self, request_id: Uuid) -> Response {
        let status = self.status();
        let mut problem = json!({
            "type": format!("urn:gatepost:error:{}", self.code()),
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": self.detail(),
            "code": self.code(),
            "request_id": request_id,
        });
        if let Some(field) = self.about() {
            problem["field"] = field.into();
        }
        let mut response = Response::new(Body::from(problem.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
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

/// The error as a value inside an empty response: the front, which knows the request id, puts it
/// into words.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => ApiError::StoreUnavailable { cause },
            StoreError::Conflict { field } => ApiError::Conflict { field },
            StoreError::NotFound { .. } => ApiError::NotFound,
            StoreError::Protected(reason) => ApiError::Protected { reason },
            // Nothing that waiting would help: a person has to look.
            StoreError::Incompatible(cause) => ApiError::Internal { cause },
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        ApiError::Refused(Box::new(refusal))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::*;

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
