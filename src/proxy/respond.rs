//! Answers that Gatepost gives itself.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderValue, Method, StatusCode};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use uuid::Uuid;

use super::trace::{X_REQUEST_ID, uuid_value};
use crate::decision::ProblemAnswer;

/// The body of a refused request that is read so that the connection can be used again.
const SMALL_BODY: usize = 64 * 1024;
const SMALL_BODY_PATIENCE: Duration = Duration::from_millis(250);

/// What is read after the answer, so that closing does not take the answer back: a socket closed
/// with unread bytes resets the connection.
const LINGER: usize = 1024 * 1024;
const LINGER_PATIENCE: Duration = Duration::from_secs(1);

/// Sends `answer` to a request whose body was not read. The connection stays open if the request
/// was read to its end, and is closed otherwise.
///
/// # Errors
/// The client is gone.
pub async fn send(session: &mut Session, answer: ProblemAnswer, request_id: Uuid) -> Result<()> {
    // Who waits for our `100 Continue` has not sent anything yet, and will not.
    if session.get_keepalive().is_some() && session.get_header(EXPECT).is_none() {
        discard_body(session, SMALL_BODY, SMALL_BODY_PATIENCE).await;
    }
    write(session, answer, request_id).await.map_err(|error| error.into_down())?;
    if session.get_keepalive().is_none() {
        discard_body(session, LINGER, LINGER_PATIENCE).await;
    }
    Ok(())
}

async fn write(session: &mut Session, answer: ProblemAnswer, request_id: Uuid) -> Result<()> {
    let with_body = session.req_header().method != Method::HEAD;
    session.write_response_header(Box::new(head(&answer, request_id)), !with_body).await?;
    let body = if with_body { Bytes::from(answer.body) } else { Bytes::new() };
    session.write_response_body(Some(body), true).await
}

fn head(answer: &ProblemAnswer, request_id: Uuid) -> ResponseHeader {
    let mut parts = http::Response::new(()).into_parts().0;
    parts.status = answer.status;
    for (name, value) in &answer.headers {
        parts.headers.append(name, value.clone());
    }
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
    parts.headers.insert(&X_REQUEST_ID, uuid_value(request_id));
    ResponseHeader::from(parts)
}

/// Whether a final answer has begun, so that no other can be given.
pub fn is_answered(session: &Session) -> bool {
    session.response_written().is_some_and(|response| {
        !response.status.is_informational() || response.status == StatusCode::SWITCHING_PROTOCOLS
    })
}

async fn discard_body(session: &mut Session, most: usize, patience: Duration) {
    let discarding = async {
        let mut left = most;
        while !session.as_downstream_mut().is_body_done() {
            match session.as_downstream_mut().read_request_body().await {
                Ok(Some(bytes)) if bytes.len() <= left => left -= bytes.len(),
                _ => break,
            }
        }
    };
    // Whether it came in time shows in the session: the body is done or it is not.
    let _ = tokio::time::timeout(patience, discarding).await;
}
