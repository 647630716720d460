//! Who owns keys.

mod body;
mod view;

use axum::extract::State;
use http::Uri;
use uuid::Uuid;

use self::body::{LockBody, RolesBody, UserBody};
use self::view::UserView;
use crate::clock;
use crate::management::caller::Caller;
use crate::management::plane::{ControlPlane, Plane};
use crate::management::power;
use crate::management::wire::{
    Answer, ApiError, Id, ListKey, Named, Params, Parsed, created, list, no_content, versioned,
};
use crate::store::{AttemptFilter, Change, NewUser, UserFilter, UserPatch};

pub async fn list_all(State(plane): State<Plane>, uri: Uri) -> Answer {
    let now = clock::now();
    let (filter, page) = Params::read(&uri, |params| {
        let locked = params.boolean("locked")?;
        let filter = UserFilter {
            email: params.text("email")?,
            role: params.text("role")?,
            locked_at: locked.filter(|locked| *locked).map(|_| now),
            unlocked_at: locked.filter(|locked| !locked).map(|_| now),
        };
        Ok((filter, params.page(ListKey::Id)?))
    })?;
    list(plane.store().users(&filter, &page).await?, |row| UserView::new(row, now))
}

pub async fn read(State(plane): State<Plane>, Id(id): Id) -> Answer {
    answer(&plane, id).await
}

pub async fn create(
    State(plane): State<Plane>,
    caller: Caller,
    Parsed(body): Parsed<UserBody>,
) -> Answer {
    plane.check_tier(body.subscription_tier.as_deref())?;
    // Making somebody and making them mighty are two permissions.
    if !body.roles.is_empty() {
        caller.require("permissions:assign")?;
        power::check_roles(&plane, &caller, &body.roles).await?;
    }
    let user = NewUser {
        id: Uuid::now_v7(),
        email: body.email,
        display_name: body.display_name,
        tier: body.subscription_tier,
        roles: body.roles,
    };
    let id = user.id;
    plane.commit(Change::CreateUser(user), &caller).await?;
    let user = UserView::new(plane.user(id).await?, clock::now());
    created(&format!("/api/v1/admin/users/{id}"), user)
}

pub async fn update(
    State(plane): State<Plane>,
    caller: Caller,
    Id(id): Id,
    Parsed(patch): Parsed<UserPatch>,
) -> Answer {
    plane.check_tier(patch.tier.as_ref().and_then(|tier| tier.as_deref()))?;
    if let Some(roles) = &patch.roles {
        check_new_roles(&plane, &caller, id, roles).await?;
    }
    plane.commit(Change::UpdateUser { id, patch }, &caller).await?;
    answer(&plane, id).await
}

/// A patch that replaces the roles asks for what giving and taking them one by one would.
async fn check_new_roles(
    plane: &ControlPlane,
    caller: &Caller,
    id: Uuid,
    roles: &[String],
) -> Result<(), ApiError> {
    let old = plane.user(id).await?.roles;
    let given: Vec<_> = roles.iter().filter(|role| !old.contains(role)).cloned().collect();
    if !given.is_empty() {
        caller.require("permissions:assign")?;
        power::check_roles(plane, caller, &given).await?;
    }
    if old.iter().any(|role| !roles.contains(role)) {
        caller.require("permissions:revoke")?;
    }
    Ok(())
}

pub async fn delete(State(plane): State<Plane>, caller: Caller, Id(id): Id) -> Answer {
    plane.commit(Change::DeleteUser { id }, &caller).await?;
    no_content()
}

pub async fn lock(
    State(plane): State<Plane>,
    caller: Caller,
    Id(id): Id,
    Parsed(LockBody { until, reason }): Parsed<LockBody>,
) -> Answer {
    if until.is_some_and(|until| until <= clock::now()) {
        return Err(ApiError::field("until", "is in the past"));
    }
    plane.commit(Change::LockUser { id, until, reason }, &caller).await?;
    no_content()
}

pub async fn unlock(State(plane): State<Plane>, caller: Caller, Id(id): Id) -> Answer {
    let by = plane.commit(Change::UnlockUser { id }, &caller).await?;
    plane.parts.guard.forgive(id, by.at);
    no_content()
}

pub async fn add_roles(
    State(plane): State<Plane>,
    caller: Caller,
    Id(id): Id,
    Parsed(RolesBody { roles }): Parsed<RolesBody>,
) -> Answer {
    power::check_roles(&plane, &caller, &roles).await?;
    plane.commit(Change::AddRoles { user: id, roles }, &caller).await?;
    answer(&plane, id).await
}

pub async fn remove_role(
    State(plane): State<Plane>,
    caller: Caller,
    Id(id): Id,
    Named(role): Named,
) -> Answer {
    plane.commit(Change::RemoveRole { user: id, role }, &caller).await?;
    no_content()
}

/// A user, and what has failed lately with their keys.
async fn answer(plane: &ControlPlane, id: Uuid) -> Answer {
    let filter = AttemptFilter { user_id: Some(id), source: None };
    let attempts = plane.store().failed_attempts(&filter).await?;
    let failed_attempts = attempts.iter().map(|attempts| attempts.count).sum();
    let user = plane.user(id).await?;
    let changed = user.updated_at;
    versioned(changed, UserView::new(user, clock::now()).with_attempts(failed_attempts))
}
