use http::{HeaderName, HeaderValue, StatusCode};
use uuid::Uuid;

use super::{Failure, Refusal};

/// A refusal as every door answers it: RFC 9457 `application/problem+json`.
#[derive(Clone, Debug)]
pub struct ProblemAnswer {
    pub status: StatusCode,
    /// Everything but `Content-Length`: type, `Cache-Control: no-store`, `WWW-Authenticate`
    /// (RFC 9110, 6750) with 401, `Allow` with 405, `Retry-After`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
}

impl ProblemAnswer {
    pub fn new(refusal: &Refusal, realm: &str, request_id: Uuid) -> Self {
        let _ = (refusal, realm, request_id);
        todo!()
    }

    /// The answer to a request that was let in and then failed.
    pub fn failure(failure: Failure, request_id: Uuid) -> Self {
        let _ = (failure, request_id);
        todo!()
    }
}
