//! What an error of the framework means.

use pingora::{Error, ErrorSource, ErrorType};

use crate::decision::{Denial, Failure, Outcome};

/// How a request ends that `error` broke off. Never [`Outcome::Allow`].
pub fn outcome_of(error: &Error) -> Outcome {
    match error.esource() {
        ErrorSource::Upstream => Outcome::Fail(upstream_failure(error.etype())),
        ErrorSource::Downstream if is_lost_connection(error.etype()) => {
            Outcome::Fail(Failure::ClientGone)
        }
        // The framework found a fault in the request: in what `Connection` names, in a chunk, or
        // bytes after its end.
        ErrorSource::Downstream => Outcome::Deny(Denial::InvalidRequest),
        ErrorSource::Internal | ErrorSource::Unset => Outcome::Fail(Failure::Internal),
    }
}

fn upstream_failure(kind: &ErrorType) -> Failure {
    match kind {
        ErrorType::ConnectTimedout
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout => Failure::UpstreamTimeout,
        ErrorType::ConnectRefused
        | ErrorType::ConnectNoRoute
        | ErrorType::ConnectError
        | ErrorType::ConnectProxyFailure
        | ErrorType::BindError
        | ErrorType::SocketError
        | ErrorType::TLSHandshakeFailure
        | ErrorType::TLSWantX509Lookup
        | ErrorType::InvalidCert
        | ErrorType::HandshakeError => Failure::UpstreamUnreachable,
        _ => Failure::UpstreamBroken,
    }
}

fn is_lost_connection(kind: &ErrorType) -> bool {
    matches!(
        kind,
        ErrorType::ReadError
            | ErrorType::WriteError
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::ConnectionClosed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstreams_faults_are_told_apart() {
        let failure = |kind| outcome_of(&Error::new_up(kind));
        let expected = [
            (ErrorType::ConnectRefused, Failure::UpstreamUnreachable),
            (ErrorType::InvalidCert, Failure::UpstreamUnreachable),
            (ErrorType::ConnectTimedout, Failure::UpstreamTimeout),
            (ErrorType::ReadTimedout, Failure::UpstreamTimeout),
            (ErrorType::ConnectionClosed, Failure::UpstreamBroken),
            (ErrorType::InvalidHTTPHeader, Failure::UpstreamBroken),
        ];
        for (kind, expected) in expected {
            assert_eq!(failure(kind.clone()), Outcome::Fail(expected), "{kind:?}");
        }
    }

    #[test]
    fn a_client_is_gone_or_at_fault() {
        let gone = outcome_of(&Error::new_down(ErrorType::ConnectionClosed));
        assert_eq!(gone, Outcome::Fail(Failure::ClientGone));
        let fault = outcome_of(&Error::new_down(ErrorType::InvalidHTTPHeader));
        assert_eq!(fault, Outcome::Deny(Denial::InvalidRequest));
    }

    #[test]
    fn everything_else_is_ours() {
        let ours = outcome_of(&Error::new_in(ErrorType::InternalError));
        assert_eq!(ours, Outcome::Fail(Failure::Internal));
    }
}
