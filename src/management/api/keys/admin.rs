//! Everybody's keys.

use axum::extract::State;
use http::Uri;

use super::body::{KeyBody, RotateBody};
use super::create::{self, Owner};
use super::view::KeyView;
use super::{patch, rotate};
use crate::management::caller::Caller;
use crate::management::plane::Plane;
use crate::management::power;
use crate::management::wire::{
    Answer, Id, ListKey, Params, Parsed, list, no_content, parse_id, versioned,
};
use crate::store::{Change, KeyFilter, KeyPatch};

pub async fn list_all(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, page) = Params::read(&uri, |params| {
        let user_id = params.optional("user_id", "a user's id", parse_id)?;
        let filter = KeyFilter { user_id, ..super::read_filter(params)? };
        Ok((filter, params.page(ListKey::Id)?))
    })?;
    list(plane.store().keys(&filter, &page).await?, KeyView::from)
}

pub async fn list_of_user(State(plane): State<Plane>, Id(user_id): Id, uri: Uri) -> Answer {
    let (filter, page) = Params::read(&uri, |params| {
        let filter = KeyFilter { user_id: Some(user_id), ..super::read_filter(params)? };
        Ok((filter, params.page(ListKey::Id)?))
    })?;
    plane.user(user_id).await?;
    list(plane.store().keys(&filter, &page).await?, KeyView::from)
}

pub async fn create_for_user(
    State(plane): State<Plane>,
    caller: Caller,
    Id(user_id): Id,
    Parsed(body): Parsed<KeyBody>,
) -> Answer {
    let roles = plane.user(user_id).await?.roles;
    let grants = power::grants_of(&plane, &roles).await?;
    let owner = Owner { id: user_id, grants: &grants };
    create::create(&plane, &caller, owner, body, "/api/v1/admin/api-keys").await
}

pub async fn read(State(plane): State<Plane>, Id(id): Id) -> Answer {
    let key = super::load(&plane, id).await?;
    versioned(key.updated_at, KeyView::from(key))
}

pub async fn update(
    State(plane): State<Plane>,
    caller: Caller,
    Id(id): Id,
    Parsed(patch): Parsed<KeyPatch>,
) -> Answer {
    let key = super::load(&plane, id).await?;
    patch::patch(&plane, &caller, key, patch).await
}

pub async fn rotate(
    State(plane): State<Plane>,
    caller: Caller,
    Id(id): Id,
    Parsed(RotateBody { overlap }): Parsed<RotateBody>,
) -> Answer {
    let key = super::load(&plane, id).await?;
    rotate::rotate(&plane, &caller, key, overlap, "/api/v1/admin/api-keys").await
}

pub async fn revoke(State(plane): State<Plane>, caller: Caller, Id(id): Id) -> Answer {
    plane.commit(Change::RevokeKey { id }, &caller).await?;
    no_content()
}
