use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ETAG, LOCATION};
use jiff::Timestamp;
use serde::Serialize;

use super::{ApiError, ListKey, etag};
use crate::store::Page;

pub type Answer = Result<Response, ApiError>;

/// A page of a list.
#[derive(Serialize)]
pub struct Listing<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

pub fn ok(body: impl Serialize) -> Answer {
    Ok(Json(body).into_response())
}

pub fn list<R, V: Serialize>(page: Page<R>, view: impl FnMut(R) -> V) -> Answer {
    let next_cursor = page.next.as_deref().map(ListKey::seal);
    ok(Listing { data: page.rows.into_iter().map(view).collect(), next_cursor })
}

/// One thing, and the version of it that a change can build on.
pub fn versioned(updated_at: Timestamp, body: impl Serialize) -> Answer {
    Ok(([(ETAG, etag(updated_at))], Json(body)).into_response())
}

pub fn created(location: &str, body: impl Serialize) -> Answer {
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(body)).into_response())
}

/// Marks an answer that holds a key: it is never kept to be answered again.
#[derive(Clone, Copy, Debug)]
pub struct ShownOnce;

pub fn no_content() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}
