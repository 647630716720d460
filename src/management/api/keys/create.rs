use uuid::Uuid;

use super::body::KeyBody;
use super::view::{CreatedKey, KeyView};
use crate::clock;
use crate::key::{Digest, Grants, LookupId, MintedKey, Secret};
use crate::management::caller::Caller;
use crate::management::plane::ControlPlane;
use crate::management::power;
use crate::management::wire::{Answer, ApiError, ShownOnce, created};
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
    check(caller, &owner, &body)?;
    let instance = plane.store().instance().await?;
    let minted = MintedKey::new(&body.environment, &instance.id_key).map_err(ApiError::internal)?;
    let new = new_key(&owner, body, Some(minted.lookup_id), minted.digest);
    let by = plane.commit(Change::CreateKey(new.clone()), caller).await?;
    show(collection, KeyView::of_new(new, &by), &minted.secret)
}

/// The answer with the key in it.
pub(super) fn show(collection: &str, key: KeyView, secret: &Secret) -> Answer {
    let location = format!("{collection}/{}", key.id);
    let mut answer = created(&location, CreatedKey::new(key, secret))?;
    answer.extensions_mut().insert(ShownOnce);
    Ok(answer)
}

/// Whether the caller may give `owner` such a key.
pub(super) fn check(caller: &Caller, owner: &Owner<'_>, body: &KeyBody) -> Result<(), ApiError> {
    body.check_expiry(clock::now())?;
    power::check_giver(caller, &body.permissions)?;
    power::check_owner(owner.grants, &body.permissions)
}

pub(super) fn new_key(
    owner: &Owner<'_>,
    body: KeyBody,
    lookup_id: Option<LookupId>,
    digest: Digest,
) -> NewKey {
    NewKey {
        id: Uuid::now_v7(),
        user_id: owner.id,
        lookup_id,
        digest,
        name: body.name,
        permissions: body.permissions,
        environment: body.environment,
        allowed_ips: body.allowed_ips,
        rate: body.rate,
        quota: body.quota,
        expires_at: body.expires_at,
        metadata: body.metadata,
        rotated_from: None,
    }
}
