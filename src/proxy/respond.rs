//! Answers that Gatepost gives itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use uuid::Uuid;

use super::trace::{X_REQUEST_ID, uuid_value};
use crate::decision::{ProblemAnswer, beside_answer, is_grpc};
use crate::policy::Route;

/// The body of a refused request that is read so that the connection can be used again.
const SMALL_BODY: usize = 64 * 1024;
const SMALL_BODY_PATIENCE: Duration = Duration::from_millis(250);

/// What is read after the answer, so that closing does not take the answer back: a socket closed
/// with unread bytes resets the connection.
const LINGER: usize = 1024 * 1024;
const LINGER_PATIENCE: Duration = Duration::from_secs(1);

/// Sends `answer` to a request whose body was not read.
///
/// # Errors
/// The client is gone.
pub async fn send(session: &mut Session, answer: ProblemAnswer, request_id: Uuid) -> Result<()> {
    let answer = match is_grpc(&session.req_header().headers) {
        true => answer.into_grpc(),
        false => answer,
    };
    let mut headers = appended(&answer.headers);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(answer.body.len()));
    answer_unread(session, answer.status, headers, answer.body.into(), request_id).await
}

/// Answers a browser that asks before it calls.
///
/// # Errors
/// The client is gone.
pub async fn preflight(
    session: &mut Session,
    headers: &[(HeaderName, HeaderValue)],
    request_id: Uuid,
) -> Result<()> {
    let headers = appended(headers);
    answer_unread(session, StatusCode::NO_CONTENT, headers, Bytes::new(), request_id).await
}

/// Lets a script that may call the route read why it was refused.
pub fn tell_browser(answer: &mut ProblemAnswer, route: Option<&Arc<Route>>, session: &Session) {
    if let Some(cors) = route.and_then(|route| route.options.cors.as_ref()) {
        answer.headers.extend(beside_answer(cors, &session.req_header().headers));
    }
}

fn appended(headers: &[(HeaderName, HeaderValue)]) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers {
        map.append(name, value.clone());
    }
    map
}

/// The connection stays open if the request was read to its end, and is closed otherwise.
async fn answer_unread(
    session: &mut Session,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    request_id: Uuid,
) -> Result<()> {
    // Who waits for our `100 Continue` has not sent anything yet, and will not.
    if session.get_keepalive().is_some() && session.get_header(EXPECT).is_none() {
        discard_body(session, SMALL_BODY, SMALL_BODY_PATIENCE).await;
    }
    let head = head(status, headers, request_id);
    write(session, head, body).await.map_err(|error| error.into_down())?;
    if session.get_keepalive().is_none() {
        discard_body(session, LINGER, LINGER_PATIENCE).await;
    }
    Ok(())
}

async fn write(session: &mut Session, head: ResponseHeader, body: Bytes) -> Result<()> {
    let with_body = session.req_header().method != Method::HEAD && !body.is_empty();
    session.write_response_header(Box::new(head), !with_body).await?;
    let body = if with_body { body } else { Bytes::new() };
    session.write_response_body(Some(body), true).await
}

fn head(status: StatusCode, headers: HeaderMap, request_id: Uuid) -> ResponseHeader {
    let mut parts = http::Response::new(()).into_parts().0;
    parts.status = status;
    parts.headers = headers;
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
