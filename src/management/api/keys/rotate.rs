use jiff::SignedDuration;
use uuid::Uuid;

use super::create;
use super::view::KeyView;
use crate::clock;
use crate::key::MintedKey;
use crate::management::caller::Caller;
use crate::management::plane::ControlPlane;
use crate::management::power;
use crate::management::wire::{Answer, ApiError};
use crate::store::{Change, KeyRow, NewKey};

/// Makes a key in the place of `old`, which goes on working for `overlap`, and shows it, once. An
/// imported key gets one of ours that way.
///
/// Whoever sees a key can use it: so it takes everything that the key has, unless it is the
/// caller's own key, which it gives nothing new.
pub(super) async fn rotate(
    plane: &ControlPlane,
    caller: &Caller,
    old: KeyRow,
    overlap: SignedDuration,
    collection: &str,
) -> Answer {
    if caller.key.id != old.id {
        power::check_giver(caller, &old.permissions)?;
    }
    let instance = plane.store().instance().await?;
    let minted = MintedKey::new(&old.environment, &instance.id_key).map_err(ApiError::internal)?;
    let old_expires_at = clock::now().saturating_add(overlap).map_err(ApiError::internal)?;
    let new = NewKey {
        id: Uuid::now_v7(),
        user_id: old.user_id,
        lookup_id: Some(minted.lookup_id),
        digest: minted.digest,
        name: old.name,
        permissions: old.permissions,
        environment: old.environment,
        allowed_ips: old.allowed_ips,
        rate: old.rate,
        quota: old.quota,
        expires_at: old.expires_at,
        metadata: old.metadata,
        rotated_from: Some(old.id),
    };
    let change = Change::RotateKey { id: old.id, new: new.clone(), old_expires_at };
    let by = plane.commit(change, caller).await?;
    let key = KeyView::of_new(new, &by).in_place_of(old.disabled);
    create::show(collection, key, &minted.secret)
}
