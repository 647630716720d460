use std::fmt::Display;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::decision::{Denial, Failure, Outcome, Refusal};
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
    /// The subject is not of the version that `If-Match` names.
    PreconditionFailed,
    /// This was done already under the same `Idempotency-Key`; `id` is what was made.
    Repeated {
        id: Option<String>,
    },
    /// Another request has been made under the same `Idempotency-Key`.
    IdempotencyKeyReused,
    /// The configuration that was to be loaded; the old one goes on.
    InvalidConfig {
        problems: String,
    },
    BodyTimeout,
    BodyTooLarge,
    UnsupportedMediaType,
    MisdirectedRequest,
    /// As many as there may be follow the events already.
    TooManyListeners,
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
            ApiError::PreconditionFailed => "precondition_failed",
            ApiError::Repeated { .. } => "already_done",
            ApiError::IdempotencyKeyReused => "idempotency_key_reused",
            ApiError::InvalidConfig { .. } => "invalid_config",
            ApiError::BodyTimeout => "body_timeout",
            ApiError::BodyTooLarge => Denial::BodyTooLarge.code(),
            ApiError::UnsupportedMediaType => "unsupported_media_type",
            ApiError::MisdirectedRequest => "misdirected_request",
            ApiError::TooManyListeners => "too_many_listeners",
            ApiError::NotBootstrapped => "not_bootstrapped",
            ApiError::StoreUnavailable { .. } => "store_unavailable",
            ApiError::Internal { .. } => Failure::Internal.code(),
        }
    }

    pub fn status(&self) -> StatusCode {
        match self {
            ApiError::Refused(refusal) => refusal.denial.status(),
            ApiError::InvalidBody { .. } | ApiError::InvalidParameter { .. } => {
                StatusCode::BAD_REQUEST
            }
            ApiError::ExceedsOwnPermissions { .. } => StatusCode::FORBIDDEN,
            ApiError::NotFound => StatusCode::NOT_FOUND,
            ApiError::Conflict { .. } | ApiError::Protected { .. } | ApiError::Repeated { .. } => {
                StatusCode::CONFLICT
            }
            ApiError::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            ApiError::IdempotencyKeyReused | ApiError::InvalidConfig { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            ApiError::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            ApiError::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ApiError::MisdirectedRequest => StatusCode::MISDIRECTED_REQUEST,
            ApiError::TooManyListeners
            | ApiError::NotBootstrapped
            | ApiError::StoreUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the client reads. It repeats what the client sent, never what we hold.
    pub(super) fn detail(&self) -> String {
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
            ApiError::PreconditionFailed => {
                "It has changed since the version that If-Match names: read it again".into()
            }
            ApiError::Repeated { .. } => {
                "This was done already under the same Idempotency-Key; `id` is what was made".into()
            }
            ApiError::IdempotencyKeyReused => {
                "Another request has been made under the same Idempotency-Key".into()
            }
            ApiError::InvalidConfig { problems } => problems.clone(),
            ApiError::BodyTimeout => "The body did not arrive in time".into(),
            ApiError::BodyTooLarge => "The body is larger than 256 KiB".into(),
            ApiError::UnsupportedMediaType => "The body must be application/json".into(),
            ApiError::MisdirectedRequest => {
                "This listener does not go by that Host; see `[management] hosts`".into()
            }
            ApiError::TooManyListeners => "As many as may follow the events do already".into(),
            ApiError::NotBootstrapped => {
                "There is no administrator yet: run `gatepost bootstrap`".into()
            }
            ApiError::StoreUnavailable { .. } => "The store cannot be reached right now".into(),
            ApiError::Internal { .. } => Failure::Internal.detail().into(),
        }
    }

    /// The member or parameter to look at.
    pub(super) fn about(&self) -> Option<&str> {
        match self {
            ApiError::InvalidBody { field, .. } => field.as_deref(),
            ApiError::InvalidParameter { field, .. } => Some(field),
            ApiError::Conflict { field } => Some(field),
            _ => None,
        }
    }

    /// What was made by the request that this one repeats.
    pub(super) fn made(&self) -> Option<&str> {
        match self {
            ApiError::Repeated { id } => id.as_deref(),
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
            // The parsers of bodies are stricter than the store; this is for what they overlook.
            StoreError::Invalid(reason) => {
                ApiError::InvalidBody { field: None, reason: reason.into() }
            }
            StoreError::Stale => ApiError::PreconditionFailed,
            StoreError::Repeated => ApiError::Repeated { id: None },
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
