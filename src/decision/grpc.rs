//! Refusals as gRPC tells them: in the status of the call, with that of HTTP always 200.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Denial, Failure, ProblemAnswer};

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

const MEDIA_TYPE: &[u8] = b"application/grpc";

/// The status codes of gRPC that a gateway has a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum GrpcStatus {
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Whether a request is a call of gRPC, by the one header that every such call has.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    match kind.split_at_checked(MEDIA_TYPE.len()) {
        Some((kind, rest)) => {
            kind.eq_ignore_ascii_case(MEDIA_TYPE)
                && matches!(rest.first(), None | Some(b'+' | b';'))
        }
        None => false,
    }
}

impl From<Denial> for GrpcStatus {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::InvalidRequest | Denial::UriTooLong | Denial::AmbiguousCredentials => {
                GrpcStatus::InvalidArgument
            }
            Denial::NoRoute | Denial::MethodNotAllowed => GrpcStatus::Unimplemented,
            Denial::MissingKey
            | Denial::InvalidKey
            | Denial::KeyDisabled
            | Denial::KeyExpired
            | Denial::KeyRevoked => GrpcStatus::Unauthenticated,
            Denial::AccountLocked
            | Denial::AccountDisabled
            | Denial::IpNotAllowed
            | Denial::EnvironmentNotAllowed
            | Denial::InsufficientPermissions => GrpcStatus::PermissionDenied,
            Denial::HeadersTooLarge
            | Denial::BodyTooLarge
            | Denial::SourceBlocked
            | Denial::RateLimited
            | Denial::QuotaExceeded => GrpcStatus::ResourceExhausted,
            Denial::AuthUnavailable => GrpcStatus::Unavailable,
        }
    }
}

impl From<Failure> for GrpcStatus {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::UpstreamUnreachable | Failure::UpstreamBroken => GrpcStatus::Unavailable,
            Failure::UpstreamTimeout => GrpcStatus::DeadlineExceeded,
            Failure::ClientGone => GrpcStatus::Cancelled,
            Failure::Internal => GrpcStatus::Internal,
        }
    }
}

impl ProblemAnswer {
    /// The same as a head without a body, which gRPC calls trailers-only.
    pub fn into_grpc(mut self) -> Self {
        self.headers.retain(|(name, _)| *name != CONTENT_TYPE);
        self.headers.extend([
            (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
            (GRPC_STATUS.clone(), HeaderValue::from(self.grpc as u16)),
        ]);
        // Codes and details are printable ASCII without a percent sign: they need no encoding.
        let message = HeaderValue::try_from(format!("{}: {}", self.code, self.detail));
        self.headers.extend(message.ok().map(|message| (GRPC_MESSAGE.clone(), message)));
        Self { status: StatusCode::OK, body: Vec::new(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_itself_is_grpc() {
        let is =
            |kind| is_grpc(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]));
        for kind in ["application/grpc", "application/grpc+proto", "Application/GRPC;charset=x"] {
            assert!(is(kind), "{kind}");
        }
        // Browsers speak a dialect with an answer of its own.
        for kind in ["application/grpc-web", "application/grpcx", "application/json", ""] {
            assert!(!is(kind), "{kind}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn every_detail_is_a_message_as_it_stands() {
        let details = Denial::ALL.iter().map(|denial| denial.detail());
        for detail in details.chain(Failure::ALL.iter().map(|failure| failure.detail())) {
            let plain = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b'%';
            assert!(detail.bytes().all(plain), "{detail}");
        }
    }
}
