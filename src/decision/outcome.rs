use http::StatusCode;

use super::Denial;

/// How a request that was let in can still fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    UpstreamUnreachable,
    UpstreamTimeout,
    /// The upstream answered something that is not HTTP, or broke off.
    UpstreamBroken,
    /// The client went away before the answer was whole.
    ClientGone,
    Internal,
}

impl Failure {
    pub const ALL: &'static [Failure] = &[
        Failure::UpstreamUnreachable,
        Failure::UpstreamTimeout,
        Failure::UpstreamBroken,
        Failure::ClientGone,
        Failure::Internal,
    ];

    pub const fn code(self) -> &'static str {
        match self {
            Failure::UpstreamUnreachable => "upstream_unreachable",
            Failure::UpstreamTimeout => "upstream_timeout",
            Failure::UpstreamBroken => "upstream_broken",
            Failure::ClientGone => "client_gone",
            Failure::Internal => "internal_error",
        }
    }

    /// 499 for a client that is gone is a convention of access logs; it is never sent.
    pub fn status(self) -> StatusCode {
        match self {
            Failure::UpstreamUnreachable | Failure::UpstreamBroken => StatusCode::BAD_GATEWAY,
            Failure::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Failure::ClientGone => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
            Failure::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub const fn detail(self) -> &'static str {
        match self {
            Failure::UpstreamUnreachable => "The API behind the gateway cannot be reached",
            Failure::UpstreamTimeout => "The API behind the gateway did not answer in time",
            Failure::UpstreamBroken => "The API behind the gateway broke off its answer",
            Failure::ClientGone => "The client closed the connection",
            Failure::Internal => "The gateway failed",
        }
    }
}

/// How a request ended: the label of its series and the code in its usage record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Allow,
    Deny(Denial),
    Fail(Failure),
}

impl Outcome {
    pub const fn code(self) -> &'static str {
        match self {
            Outcome::Allow => "allow",
            Outcome::Deny(denial) => denial.code(),
            Outcome::Fail(failure) => failure.code(),
        }
    }

    /// The outcome with this code.
    pub fn parse(code: &str) -> Option<Outcome> {
        Outcome::all().find(|outcome| outcome.code() == code)
    }

    pub fn all() -> impl Iterator<Item = Outcome> {
        std::iter::once(Outcome::Allow)
            .chain(Denial::ALL.iter().copied().map(Outcome::Deny))
            .chain(Failure::ALL.iter().copied().map(Outcome::Fail))
    }
}
