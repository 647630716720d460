//! The built-in upstream `management`: served in this process.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body_util::BodyExt;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::context::Context;
use super::hygiene::{HOP_BY_HOP, nominated};
use super::trace::{X_REQUEST_ID, uuid_value};
use super::{CLIENT_STALL, LocalResponse, Proxy};
use crate::decision::{Admission, Denial, Standing, beside_answer};

/// The name of this upstream in the configuration.
pub const NAME: &str = "management";

/// The largest request body that is taken.
const MAX_BODY: usize = 256 * 1024;

/// Serves an admitted request and writes the answer; or refuses it, if its body is too large.
///
/// # Errors
/// The client is gone.
pub async fn serve(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &mut Context,
    admission: Admission,
) -> Result<()> {
    let most = admission.route().options.max_body.unwrap_or(u64::MAX);
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(MAX_BODY);
    let Some(body) = read_body(session, most).await.map_err(|error| error.into_down())? else {
        ctx.refuse(Denial::BodyTooLarge);
        return Ok(());
    };
    let mut request = request(session, body);
    request.headers_mut().insert(&X_REQUEST_ID, uuid_value(ctx.request_id));
    request.extensions_mut().insert(ctx.client);
    request.extensions_mut().insert(ctx.request_id);
    let response = (proxy.in_process)(request, admission).await;
    write(session, ctx, response).await
}

/// The whole body, if it is no longer than `most`.
async fn read_body(session: &mut Session, most: usize) -> Result<Option<Bytes>> {
    let declared = session.get_header(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > most) {
        return Ok(None);
    }
    if session.get_header(EXPECT).is_some() {
        session.as_downstream_mut().write_continue_response().await?;
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = read_chunk(session).await? {
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

/// The framework's own patience is with HTTP/1 alone.
async fn read_chunk(session: &mut Session) -> Result<Option<Bytes>> {
    let reading = session.as_downstream_mut().read_request_body();
    match tokio::time::timeout(CLIENT_STALL, reading).await {
        Ok(read) => read,
        Err(_) => Error::e_explain(ErrorType::ReadTimedout, "the client sends no more"),
    }
}

fn request(session: &Session, body: Bytes) -> http::Request<Bytes> {
    let header = session.req_header();
    let mut request = http::Request::new(body);
    *request.method_mut() = header.method.clone();
    *request.uri_mut() = header.uri.clone();
    *request.headers_mut() = end_to_end(&header.headers);
    request
}

/// The headers that are not about the connection alone.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in nominated(headers).chain(HOP_BY_HOP.iter().cloned()) {
        kept.remove(name);
    }
    kept
}

async fn write(session: &mut Session, ctx: &Context, response: LocalResponse) -> Result<()> {
    let (mut parts, mut body) = response.into_parts();
    parts.headers = end_to_end(&parts.headers);
    parts.headers.insert(&X_REQUEST_ID, uuid_value(ctx.request_id));
    for (name, value) in ctx.standing().into_iter().flat_map(Standing::headers) {
        parts.headers.insert(name, value);
    }
    if let Some(cors) = ctx.route().and_then(|route| route.options.cors.as_ref()) {
        for (name, value) in beside_answer(cors, &session.req_header().headers) {
            parts.headers.append(name, value);
        }
    }
    let bodiless = session.req_header().method == Method::HEAD
        || parts.status.is_informational()
        || matches!(parts.status.as_u16(), 204 | 304);
    if !bodiless {
        frame(session, &mut parts.headers);
    }
    let header = Box::new(ResponseHeader::from(parts));
    session.write_response_header(header, bodiless).await.map_err(|error| error.into_down())?;
    while !bodiless && let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::because(ErrorType::InternalError, "reading an answer of our own", error)
        })?;
        if let Ok(data) = frame.into_data() {
            let written = session.write_response_body(Some(data), false).await;
            written.map_err(|error| error.into_down())?;
        }
    }
    session.write_response_body(None, true).await.map_err(|error| error.into_down())
}

/// Says where the body ends, as the client's version understands it.
fn frame(session: &mut Session, headers: &mut HeaderMap) {
    if headers.contains_key(CONTENT_LENGTH) {
        return;
    }
    match session.req_header().version {
        Version::HTTP_11 => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        // The body of an older version ends with the connection.
        _ => session.set_keepalive(None),
    }
}
