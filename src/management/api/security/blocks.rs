use axum::extract::State;
use http::Uri;

use super::view::{AttemptsView, BlockView};
use crate::clock;
use crate::lockout::Source;
use crate::management::caller::Caller;
use crate::management::plane::Plane;
use crate::management::wire::{Answer, ApiError, Id, ListKey, Params, list, no_content, parse_id};
use crate::store::{AttemptFilter, LockoutFilter, Page};

pub async fn list_all(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, page) = Params::read(&uri, |params| {
        let filter = LockoutFilter { user_id: user_id(params)?, source: source(params)? };
        Ok((filter, params.page(ListKey::Id)?))
    })?;
    list(plane.store().lockouts(&filter, clock::now(), &page).await?, BlockView::new)
}

/// Effective here when this answers, elsewhere within a second or so.
pub async fn lift(State(plane): State<Plane>, caller: Caller, Id(id): Id) -> Answer {
    let by = caller.actor();
    let lock = plane.store().lift(id, &by).await?;
    plane.parts.guard.lifted(&lock, by.at);
    no_content()
}

/// What has been counted lately, by account or by source; at most two hundred, the newest first.
pub async fn attempts(State(plane): State<Plane>, uri: Uri) -> Answer {
    let filter = Params::read(&uri, |params| {
        Ok(AttemptFilter { user_id: user_id(params)?, source: source(params)? })
    })?;
    let rows = plane.store().failed_attempts(&filter).await?;
    list(Page { rows, next: None }, AttemptsView::new)
}

fn user_id(params: &mut Params) -> Result<Option<uuid::Uuid>, ApiError> {
    params.optional("user_id", "a user's id", parse_id)
}

/// An address of it will do.
fn source(params: &mut Params) -> Result<Option<Source>, ApiError> {
    params.optional("source", "an address, or an IPv6 /64", |text| {
        Source::parse(text).or_else(|| text.parse().ok().map(Source::of))
    })
}
