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

use crate::clock;
use crate::key::{Environment, LookupId};
use crate::management::plane::ControlPlane;
use crate::management::wire::{ApiError, Params};
use crate::store::{Attention, KeyFilter, KeyRow};

async fn load(plane: &ControlPlane, id: Uuid) -> Result<KeyRow, ApiError> {
    plane.store().key(id).await?.ok_or(ApiError::NotFound)
}

const ATTENTION: &str = "nearing_expiry, never_used or unused";

/// As diagnostics count them.
fn attention(text: &str) -> Option<Attention> {
    match text {
        "nearing_expiry" => Some(Attention::NearingExpiry),
        "never_used" => Some(Attention::NeverUsed),
        "unused" => Some(Attention::Unused),
        _ => None,
    }
}

/// The filters that every list of keys takes.
fn read_filter(params: &mut Params) -> Result<KeyFilter, ApiError> {
    let environment = params.optional("environment", "an environment", Environment::parse)?;
    let attention = params.optional("attention", ATTENTION, attention)?;
    let noticed = attention.map(|why| why.filter(clock::now())).unwrap_or_default();
    Ok(KeyFilter {
        user_id: None,
        environment: environment.map(|environment| environment.as_str().to_owned()),
        lookup_id: params.optional("lookup_id", "the public part of a key", |text| {
            LookupId::parse(text.as_bytes())
        })?,
        revoked: params.boolean("revoked")?,
        disabled: params.boolean("disabled")?,
        expires_before: params.time("expires_before")?.or(noticed.expires_before),
        never_used: params.boolean("never_used")?.or(noticed.never_used),
        unused_since: params.time("unused_since")?.or(noticed.unused_since),
        working_at: noticed.working_at,
    })
}
