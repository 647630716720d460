//! One's own keys. Somebody else's do not exist here.

use axum::extract::State;
use http::Uri;
use uuid::Uuid;

use super::body::{KeyBody, RotateBody};
use super::create::{self, Owner};
use super::view::KeyView;
use super::{patch, rotate};
use crate::management::caller::Caller;
use crate::management::plane::{ControlPlane, Plane};
use crate::management::wire::{
    Answer, ApiError, Id, ListKey, Params, Parsed, list, no_content, versioned,
};
use crate::store::{Change, KeyFilter, KeyPatch, KeyRow};

pub async fn list_all(State(plane): State<Plane>, caller: Caller, uri: Uri) -> Answer {
    let (filter, page) = Params::read(&uri, |params| {
        let filter = super::read_filter(params)?;
        Ok((filter, params.page(ListKey::Id)?))
    })?;
    let filter = KeyFilter { user_id: Some(caller.key.owner.id), ..filter };
    list(plane.store().keys(&filter, &page).await?, KeyView::from)
}

pub async fn read(State(plane): State<Plane>, caller: Caller, Id(id): Id) -> Answer {
    let key = load(&plane, &caller, id).await?;
    versioned(key.updated_at, KeyView::from(key))
}

pub async fn create(
    State(plane): State<Plane>,
    caller: Caller,
    Parsed(body): Parsed<KeyBody>,
) -> Answer {
    let owner = Owner { id: caller.key.owner.id, grants: &caller.key.owner.grants };
    create::create(&plane, &caller, owner, body, "/api/v1/api-keys").await
}

pub async fn update(
    State(plane): State<Plane>,
    caller: Caller,
    Id(id): Id,
    Parsed(patch): Parsed<KeyPatch>,
) -> Answer {
    let key = load(&plane, &caller, id).await?;
    patch::patch(&plane, &caller, key, patch).await
}

pub async fn rotate(
    State(plane): State<Plane>,
    caller: Caller,
    Id(id): Id,
    Parsed(RotateBody { overlap }): Parsed<RotateBody>,
) -> Answer {
    let key = load(&plane, &caller, id).await?;
    rotate::rotate(&plane, &caller, key, overlap, "/api/v1/api-keys").await
}

pub async fn revoke(State(plane): State<Plane>, caller: Caller, Id(id): Id) -> Answer {
    load(&plane, &caller, id).await?;
    plane.commit(Change::RevokeKey { id }, &caller).await?;
    no_content()
}

async fn load(plane: &ControlPlane, caller: &Caller, id: Uuid) -> Result<KeyRow, ApiError> {
    let key = super::load(plane, id).await?;
    if key.user_id == caller.key.owner.id { Ok(key) } else { Err(ApiError::NotFound) }
}
