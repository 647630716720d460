//! What a key is, to somebody who was handed it: without calling anything with it.

use axum::extract::State;
use serde::Serialize;

use super::body::VerifyBody;
use crate::clock;
use crate::decision::{Answer as Found, Credential, Denial, key_state};
use crate::management::api::profile::Profile;
use crate::management::plane::{ControlPlane, Plane};
use crate::management::wire::{Answer, ApiError, Parsed, ok};

#[derive(Serialize)]
struct Verified<'a> {
    valid: bool,
    /// Why it is not: the code that a request with it would be refused with.
    code: Option<&'static str>,
    /// Whose it is; nothing of it is told to who does not hold the whole key.
    #[serde(flatten)]
    profile: Option<Profile<'a>>,
}

pub async fn verify(
    State(plane): State<Plane>,
    Parsed(VerifyBody { api_key }): Parsed<VerifyBody>,
) -> Answer {
    let credential = Credential::parse(api_key.as_bytes());
    let key = match credential {
        Ok(credential) => find(&plane, &credential).await?,
        Err(_) => None,
    };
    let Some(key) = key else {
        let code = Some(Denial::InvalidKey.code());
        return ok(Verified { valid: false, code, profile: None });
    };
    let denial = key_state(&key, clock::now());
    let code = denial.map(|denial| denial.code());
    ok(Verified { valid: code.is_none(), code, profile: Some(Profile::of(&key, &plane)) })
}

async fn find(
    plane: &ControlPlane,
    credential: &Credential,
) -> Result<Option<std::sync::Arc<crate::key::KeyRecord>>, ApiError> {
    let directory = &plane.parts.directory;
    let found = match directory.cached(credential) {
        Some(found) => found,
        None => directory.find(credential).await,
    };
    match found {
        Found::Known(key) if key.digest == *credential.digest() => Ok(Some(key)),
        Found::Known(_) | Found::Unknown => Ok(None),
        Found::Unavailable => {
            Err(ApiError::StoreUnavailable { cause: "the key is not cached".into() })
        }
    }
}
