//! `Idempotency-Key`: a request that is sent again is answered again, not done again.
//!
//! The receipt is written in the transaction of the change, so that neither a crash nor two
//! requests at once make it happen twice. The answer is added afterwards, unless it showed a key:
//! then, as when it was lost, the repetition is told what was made, and no more.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use http::request::Parts as Head;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::caller::Caller;
use super::plane::ControlPlane;
use super::wire::{ApiError, ShownOnce, collect};
use crate::clock;
use crate::store::{KeptReceipt, Receipt};

const NAME: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_NAME: usize = 255;

/// Whether the request says that it may be sent again. Reading never changes anything.
pub(super) fn asked_for(head: &Head) -> bool {
    head.headers.contains_key(NAME) && !matches!(head.method, Method::GET | Method::HEAD)
}

/// Does what the request asks for, once.
pub(super) async fn run(
    plane: &ControlPlane,
    mut caller: Caller,
    mut head: Head,
    body: Body,
    next: Next,
) -> Result<Response, ApiError> {
    let body = collect(body).await?;
    let receipt = Receipt {
        caller: caller.key.id,
        name: name(&head.headers)?,
        request_hash: fingerprint(&head, &body),
    };
    if let Some(kept) = recall(plane, &receipt).await? {
        return repeat(kept, &receipt);
    }
    caller.terms.receipt = Some(receipt.clone());
    head.extensions.insert(caller);
    let response = next.run(Request::from_parts(head, Body::from(body))).await;
    match response.extensions().get::<ApiError>() {
        // Another one with the same name was faster.
        Some(ApiError::Repeated { .. }) => match recall(plane, &receipt).await? {
            Some(kept) => repeat(kept, &receipt),
            None => Ok(response),
        },
        Some(_) => Ok(response),
        None => remember(plane, &receipt, response).await,
    }
}

fn name(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut values = headers.get_all(NAME).iter();
    let value = values.next().filter(|_| values.next().is_none());
    let text = value.and_then(|value| value.to_str().ok());
    let is_visible = |text: &&str| text.bytes().all(|b| b.is_ascii_graphic());
    match text.filter(is_visible) {
        Some(text) if !text.is_empty() && text.len() <= MAX_NAME => Ok(text.to_owned()),
        _ => Err(ApiError::InvalidParameter {
            field: "Idempotency-Key".into(),
            reason: format!("must be given once, as 1 to {MAX_NAME} visible characters"),
        }),
    }
}

/// Lengths go in too, so that no two requests are spelt the same.
fn fingerprint(head: &Head, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [head.method.as_str().as_bytes(), head.uri.to_string().as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

async fn recall(plane: &ControlPlane, receipt: &Receipt) -> Result<Option<KeptReceipt>, ApiError> {
    Ok(plane.store().receipt(receipt.caller, &receipt.name, clock::now()).await?)
}

/// An answer, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    body: Option<Value>,
}

fn repeat(kept: KeptReceipt, receipt: &Receipt) -> Result<Response, ApiError> {
    if kept.request_hash != receipt.request_hash {
        return Err(ApiError::IdempotencyKeyReused);
    }
    let Some(answer) = kept.answer else {
        return Err(ApiError::Repeated { id: Some(kept.subject) });
    };
    let answer: Kept = serde_json::from_str(&answer).map_err(ApiError::internal)?;
    let status = StatusCode::from_u16(answer.status).map_err(ApiError::internal)?;
    let mut response = match answer.body {
        Some(body) => (status, Json(body)).into_response(),
        None => status.into_response(),
    };
    for (name, value) in [(LOCATION, answer.location), (ETAG, answer.etag)] {
        if let Some(value) = value {
            let value = HeaderValue::from_str(&value).map_err(ApiError::internal)?;
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

async fn remember(
    plane: &ControlPlane,
    receipt: &Receipt,
    response: Response,
) -> Result<Response, ApiError> {
    if response.extensions().get::<ShownOnce>().is_some() {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(ApiError::internal)?.to_bytes();
    if let Some(answer) = keepable(head.status, &head.headers, &body)
        && let Err(error) = plane.store().keep_answer(receipt, &answer).await
    {
        // The change is made: a repetition will be told so.
        tracing::warn!(%error, "an answer could not be kept for its Idempotency-Key");
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

fn keepable(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Option<String> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
    let is_json = headers.get(CONTENT_TYPE).is_some_and(|media| media == "application/json");
    let body = match body.is_empty() {
        true => None,
        false if is_json => Some(serde_json::from_slice(body).ok()?),
        false => return None,
    };
    let kept = Kept { status: status.as_u16(), location: text(LOCATION), etag: text(ETAG), body };
    serde_json::to_string(&kept).ok().filter(|answer| answer.len() <= Receipt::MAX_ANSWER)
}
