use super::body::check_end;
use super::view::KeyView;
use crate::clock;
use crate::key::Grants;
use crate::management::caller::Caller;
use crate::management::plane::ControlPlane;
use crate::management::power;
use crate::management::wire::{Answer, ApiError, versioned};
use crate::store::{Change, KeyPatch, KeyRow};

/// Changes `key`. Whoever makes it able to do more, or to do it longer or from elsewhere, must
/// have everything that it has; narrowing needs no more than the operation's permission.
pub(super) async fn patch(
    plane: &ControlPlane,
    caller: &Caller,
    key: KeyRow,
    patch: KeyPatch,
) -> Answer {
    check_end(patch.expires_at.flatten(), clock::now())?;
    if widens(&key, &patch) {
        let permissions = patch.permissions.as_ref().unwrap_or(&key.permissions);
        power::check_giver(caller, permissions)?;
    }
    if let Some(permissions) = &patch.permissions {
        check_new_permissions(plane, &key, permissions).await?;
    }
    plane.commit(Change::UpdateKey { id: key.id, patch }, caller).await?;
    let key = super::load(plane, key.id).await?;
    versioned(key.updated_at, KeyView::from(key))
}

/// What the key has already may be more than its owner's roles grant by now; what is added not.
async fn check_new_permissions(
    plane: &ControlPlane,
    key: &KeyRow,
    permissions: &[crate::key::Pattern],
) -> Result<(), ApiError> {
    let old: Grants = key.permissions.iter().cloned().collect();
    let added: Vec<_> = permissions.iter().filter(|new| !old.cover(new)).cloned().collect();
    if added.is_empty() {
        return Ok(());
    }
    let owner = plane.user(key.user_id).await?;
    power::check_owner(&power::grants_of(plane, &owner.roles).await?, &added)
}

fn widens(key: &KeyRow, patch: &KeyPatch) -> bool {
    let old: Grants = key.permissions.iter().cloned().collect();
    let more = patch.permissions.as_ref().is_some_and(|new| !new.iter().all(|new| old.cover(new)));
    let enabled = key.disabled && patch.disabled == Some(false);
    let longer = patch.expires_at.is_some_and(|new| match (key.expires_at, new) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(old), Some(new)) => new > old,
    });
    let elsewhere = patch.allowed_ips.as_ref().is_some_and(|new| {
        let inside = |net| key.allowed_ips.iter().any(|old: &ipnet::IpNet| old.contains(net));
        !key.allowed_ips.is_empty() && (new.is_empty() || !new.iter().all(inside))
    });
    let faster = patch.rate.is_some() || patch.quota.is_some();
    more || enabled || longer || elsewhere || faster
}
