use uuid::Uuid;

use super::body::KeyBody;
use super::view::CreatedKey;
use crate::clock;
use crate::key::{Grants, MintedKey};
use crate::management::caller::Caller;
use crate::management::plane::ControlPlane;
use crate::management::power;
use crate::management::wire::{Answer, ApiError, created};
use crate::store::{Change, NewKey};

/// Whose key is made.
pub(super) struct Owner<'a> {
    pub id: Uuid,
    pub grants: &'a Grants,
}

/// Makes a key for `owner`, and shows it, once. `collection` is where it can be found.
pub(super) async fn create(
    plane: &ControlPlane,
    caller: &Caller,
    owner: Owner<'_>,
    body: KeyBody,
    collection: &str,
) -> Answer {
    body.check_expiry(clock::now())?;
    power::check_giver(caller, &body.permissions)?;
    power::check_owner(owner.grants, &body.permissions)?;
    let instance = plane.store().instance().await?;
    let minted = MintedKey::new(&body.environment, &instance.id_key).map_err(ApiError::internal)?;
    let new = NewKey {
        id: Uuid::now_v7(),
        user_id: owner.id,
        lookup_id: Some(minted.lookup_id),
        digest: minted.digest,
        name: body.name,
        permissions: body.permissions,
        environment: body.environment,
        allowed_ips: body.allowed_ips,
        rate: body.rate,
        quota: body.quota,
        expires_at: body.expires_at,
        metadata: body.metadata,
        rotated_from: None,
    };
    let by = plane.commit(Change::CreateKey(new.clone()), caller).await?;
    let location = format!("{collection}/{}", new.id);
    created(&location, CreatedKey::new(new, &by, &minted.secret))
}
