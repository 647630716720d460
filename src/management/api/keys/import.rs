//! Keys of other systems, known by their digests: a team moves here without new keys.

use axum::extract::State;

use super::body::ImportBody;
use super::create::{self, Owner};
use super::view::KeyView;
use crate::management::caller::Caller;
use crate::management::plane::Plane;
use crate::management::power;
use crate::management::wire::{Answer, Parsed, created};
use crate::store::Change;

pub async fn import(
    State(plane): State<Plane>,
    caller: Caller,
    Parsed(ImportBody { user_id, key_hash, key }): Parsed<ImportBody>,
) -> Answer {
    let user = plane.user(user_id).await?;
    let grants = power::grants_of(&plane, &user.roles).await?;
    let owner = Owner { id: user_id, grants: &grants };
    create::check(&caller, &owner, &key)?;
    let new = create::new_key(&owner, key, None, key_hash);
    let by = plane.commit(Change::CreateKey(new.clone()), &caller).await?;
    created(&format!("/api/v1/admin/api-keys/{}", new.id), KeyView::of_new(new, &by))
}
