use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::standing::Standing;
use crate::key::{KeyRecord, Permission};
use crate::policy::{MethodSet, Route};

/// Every way to refuse a request. The code is the same string in the JSON, the metric label, the
/// usage record, the logs and the README.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Denial {
    InvalidRequest,
    UriTooLong,
    HeadersTooLarge,
    BodyTooLarge,
    NoRoute,
    MethodNotAllowed,
    MissingKey,
    AmbiguousCredentials,
    InvalidKey,
    KeyDisabled,
    KeyExpired,
    KeyRevoked,
    AccountLocked,
    AccountDisabled,
    IpNotAllowed,
    EnvironmentNotAllowed,
    InsufficientPermissions,
    SourceBlocked,
    RateLimited,
    QuotaExceeded,
    AuthUnavailable,
}

impl Denial {
    pub const ALL: &'static [Denial] = &[
        Denial::InvalidRequest,
        Denial::UriTooLong,
        Denial::HeadersTooLarge,
        Denial::BodyTooLarge,
        Denial::NoRoute,
        Denial::MethodNotAllowed,
        Denial::MissingKey,
        Denial::AmbiguousCredentials,
        Denial::InvalidKey,
        Denial::KeyDisabled,
        Denial::KeyExpired,
        Denial::KeyRevoked,
        Denial::AccountLocked,
        Denial::AccountDisabled,
        Denial::IpNotAllowed,
        Denial::EnvironmentNotAllowed,
        Denial::InsufficientPermissions,
        Denial::SourceBlocked,
        Denial::RateLimited,
        Denial::QuotaExceeded,
        Denial::AuthUnavailable,
    ];

    pub const fn code(self) -> &'static str {
        match self {
            Denial::InvalidRequest => "invalid_request",
            Denial::UriTooLong => "uri_too_long",
            Denial::HeadersTooLarge => "headers_too_large",
            Denial::BodyTooLarge => "body_too_large",
            Denial::NoRoute => "no_route",
            Denial::MethodNotAllowed => "method_not_allowed",
            Denial::MissingKey => "missing_key",
            Denial::AmbiguousCredentials => "ambiguous_credentials",
            Denial::InvalidKey => "invalid_key",
            Denial::KeyDisabled => "key_disabled",
            Denial::KeyExpired => "key_expired",
            Denial::KeyRevoked => "key_revoked",
            Denial::AccountLocked => "account_locked",
            Denial::AccountDisabled => "account_disabled",
            Denial::IpNotAllowed => "ip_not_allowed",
            Denial::EnvironmentNotAllowed => "environment_not_allowed",
            Denial::InsufficientPermissions => "insufficient_permissions",
            Denial::SourceBlocked => "source_blocked",
            Denial::RateLimited => "rate_limited",
            Denial::QuotaExceeded => "quota_exceeded",
            Denial::AuthUnavailable => "auth_unavailable",
        }
    }

    pub const fn status(self) -> StatusCode {
        match self {
            Denial::InvalidRequest | Denial::AmbiguousCredentials => StatusCode::BAD_REQUEST,
            Denial::UriTooLong => StatusCode::URI_TOO_LONG,
            Denial::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Denial::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Denial::NoRoute => StatusCode::NOT_FOUND,
            Denial::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Denial::MissingKey
            | Denial::InvalidKey
            | Denial::KeyDisabled
            | Denial::KeyExpired
            | Denial::KeyRevoked => StatusCode::UNAUTHORIZED,
            Denial::AccountLocked
            | Denial::AccountDisabled
            | Denial::IpNotAllowed
            | Denial::EnvironmentNotAllowed
            | Denial::InsufficientPermissions => StatusCode::FORBIDDEN,
            Denial::SourceBlocked | Denial::RateLimited | Denial::QuotaExceeded => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Denial::AuthUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The kind of problem in two or three words (RFC 9457, `title`).
    pub const fn title(self) -> &'static str {
        match self {
            Denial::InvalidRequest => "Invalid request",
            Denial::UriTooLong => "URI too long",
            Denial::HeadersTooLarge => "Headers too large",
            Denial::BodyTooLarge => "Body too large",
            Denial::NoRoute => "No route",
            Denial::MethodNotAllowed => "Method not allowed",
            Denial::MissingKey => "Missing key",
            Denial::AmbiguousCredentials => "Ambiguous credentials",
            Denial::InvalidKey => "Invalid key",
            Denial::KeyDisabled => "Key disabled",
            Denial::KeyExpired => "Key expired",
            Denial::KeyRevoked => "Key revoked",
            Denial::AccountLocked => "Account locked",
            Denial::AccountDisabled => "Account disabled",
            Denial::IpNotAllowed => "IP not allowed",
            Denial::EnvironmentNotAllowed => "Environment not allowed",
            Denial::InsufficientPermissions => "Insufficient permissions",
            Denial::SourceBlocked => "Source blocked",
            Denial::RateLimited => "Rate limited",
            Denial::QuotaExceeded => "Quota exceeded",
            Denial::AuthUnavailable => "Authentication unavailable",
        }
    }

    /// Whether it is about who may call, which a route in shadow only notes. What is about the form
    /// of a request, or leaves nowhere to forward it to, is refused there too.
    pub const fn is_about_access(self) -> bool {
        match self {
            Denial::InvalidRequest
            | Denial::UriTooLong
            | Denial::HeadersTooLarge
            | Denial::BodyTooLarge
            | Denial::NoRoute
            | Denial::MethodNotAllowed => false,
            Denial::MissingKey
            | Denial::AmbiguousCredentials
            | Denial::InvalidKey
            | Denial::KeyDisabled
            | Denial::KeyExpired
            | Denial::KeyRevoked
            | Denial::AccountLocked
            | Denial::AccountDisabled
            | Denial::IpNotAllowed
            | Denial::EnvironmentNotAllowed
            | Denial::InsufficientPermissions
            | Denial::SourceBlocked
            | Denial::RateLimited
            | Denial::QuotaExceeded
            | Denial::AuthUnavailable => true,
        }
    }

    /// Whether the caller is who the key says all the same: only what they ask for is refused.
    pub const fn leaves_identity(self) -> bool {
        matches!(
            self,
            Denial::EnvironmentNotAllowed
                | Denial::InsufficientPermissions
                | Denial::RateLimited
                | Denial::QuotaExceeded
        )
    }

    /// What the client reads: a constant, so that no cause can leak into it.
    pub const fn detail(self) -> &'static str {
        match self {
            Denial::InvalidRequest => "The request could be read in two ways",
            Denial::UriTooLong => "The request target is longer than 8 KiB",
            Denial::HeadersTooLarge => "The request head is larger than 32 KiB or 100 headers",
            Denial::BodyTooLarge => "The request body is larger than this route takes",
            Denial::NoRoute => "No route matches this request",
            Denial::MethodNotAllowed => "This path does not take this method",
            Denial::MissingKey => "API key required",
            Denial::AmbiguousCredentials => "More than one API key was sent",
            Denial::InvalidKey => "Invalid API key",
            Denial::KeyDisabled => "API key disabled",
            Denial::KeyExpired => "API key expired",
            Denial::KeyRevoked => "API key revoked",
            Denial::AccountLocked => "Account locked",
            Denial::AccountDisabled => "Account disabled",
            Denial::IpNotAllowed => "This API key may not be used from this address",
            Denial::EnvironmentNotAllowed => "This API key's environment may not be used here",
            Denial::InsufficientPermissions => "Insufficient permissions",
            Denial::SourceBlocked => "Too many failed attempts from this address",
            Denial::RateLimited => "Rate limit exceeded",
            Denial::QuotaExceeded => "Quota exceeded",
            Denial::AuthUnavailable => "API keys cannot be checked right now",
        }
    }
}

/// A denial and what the answer and the record say beside it.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub denial: Denial,
    /// Replaces [`Denial::detail`]: which rule a malformed request broke.
    pub detail: Option<&'static str>,
    pub route: Option<Arc<Route>>,
    /// Known once the secret was right.
    pub key: Option<Arc<KeyRecord>>,
    /// The permissions that are missing.
    pub missing: Vec<Permission>,
    /// For `Allow`, with [`Denial::MethodNotAllowed`].
    pub allow: Option<MethodSet>,
    pub retry_after: Option<Duration>,
    /// Where the caller stands with the limit that was exceeded.
    pub standing: Option<Box<Standing>>,
}

impl Refusal {
    pub fn new(denial: Denial) -> Self {
        Self {
            denial,
            detail: None,
            route: None,
            key: None,
            missing: Vec::new(),
            allow: None,
            retry_after: None,
            standing: None,
        }
    }

    /// Whether its route only notes it. Such a refusal says nothing about who sent the request.
    pub fn is_in_shadow(&self) -> bool {
        self.route.as_ref().is_some_and(|route| route.options.shadow)
    }

    pub fn detail(&self) -> &'static str {
        self.detail.unwrap_or(self.denial.detail())
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::new(denial)
    }
}
