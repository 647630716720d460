//! API keys: one's own, and everybody's.

pub mod admin;
mod body;
mod create;
pub mod import;
pub mod own;
mod patch;
mod rotate;
pub mod unused;
pub mod verify;
mod view;

use uuid::Uuid;

use crate::key::{Environment, LookupId};
use crate::management::plane::ControlPlane;
use crate::management::wire::{ApiError, Params};
use crate::store::{KeyFilter, KeyRow};

async fn load(plane: &ControlPlane, id: Uuid) -> Result<KeyRow, ApiError> {
    plane.store().key(id).await?.ok_or(ApiError::NotFound)
}

/// The filters that every list of keys takes.
fn read_filter(params: &mut Params) -> Result<KeyFilter, ApiError> {
    let environment = params.optional("environment", "an environment", Environment::parse)?;
    Ok(KeyFilter {
        user_id: None,
        environment: environment.map(|environment| environment.as_str().to_owned()),
        lookup_id: params.optional("lookup_id", "the public part of a key", |text| {
            LookupId::parse(text.as_bytes())
        })?,
        revoked: params.boolean("revoked")?,
        disabled: params.boolean("disabled")?,
        expires_before: params.time("expires_before")?,
        never_used: params.boolean("never_used")?,
        unused_since: params.time("unused_since")?,
    })
}
