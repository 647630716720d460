//! Named sets of permissions.

use axum::extract::State;
use http::Uri;
use jiff::Timestamp;
use serde::Serialize;

use crate::management::caller::Caller;
use crate::management::plane::Plane;
use crate::management::power;
use crate::management::wire::{
    Answer, ApiError, FromMembers, ListKey, Members, Named, Params, Parsed, created, list,
    no_content, value, versioned,
};
use crate::store::{Change, NewRole, RolePatch, RoleRow};

impl FromMembers for NewRole {
    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        Ok(NewRole {
            name: members.required("name", value::role_name)?,
            description: members.optional("description", value::text)?,
            permissions: members.required("permissions", value::patterns)?,
        })
    }
}

impl FromMembers for RolePatch {
    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        Ok(RolePatch {
            description: members.nullable("description", value::text)?,
            permissions: members.changed("permissions", value::patterns)?,
        })
    }
}

#[derive(Serialize)]
struct RoleView {
    name: String,
    description: Option<String>,
    permissions: Vec<String>,
    built_in: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<RoleRow> for RoleView {
    fn from(row: RoleRow) -> Self {
        Self {
            name: row.name,
            description: row.description,
            permissions: row.permissions.iter().map(ToString::to_string).collect(),
            built_in: row.built_in,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

pub async fn list_all(State(plane): State<Plane>, uri: Uri) -> Answer {
    let page = Params::read(&uri, |params| params.page(ListKey::Name))?;
    list(plane.store().roles(&page).await?, RoleView::from)
}

pub async fn read(State(plane): State<Plane>, Named(name): Named) -> Answer {
    answer(&plane, &name).await
}

pub async fn create(
    State(plane): State<Plane>,
    caller: Caller,
    Parsed(new): Parsed<NewRole>,
) -> Answer {
    power::check_giver(&caller, &new.permissions)?;
    let name = new.name.clone();
    plane.commit(Change::CreateRole(new), &caller).await?;
    let role = load(&plane, &name).await?;
    created(&format!("/api/v1/admin/roles/{name}"), RoleView::from(role))
}

pub async fn update(
    State(plane): State<Plane>,
    caller: Caller,
    Named(name): Named,
    Parsed(patch): Parsed<RolePatch>,
) -> Answer {
    if let Some(permissions) = &patch.permissions {
        power::check_giver(&caller, permissions)?;
    }
    plane.commit(Change::UpdateRole { name: name.clone(), patch }, &caller).await?;
    answer(&plane, &name).await
}

pub async fn delete(State(plane): State<Plane>, caller: Caller, Named(name): Named) -> Answer {
    plane.commit(Change::DeleteRole { name }, &caller).await?;
    no_content()
}

async fn answer(plane: &Plane, name: &str) -> Answer {
    let role = load(plane, name).await?;
    versioned(role.updated_at, RoleView::from(role))
}

async fn load(plane: &Plane, name: &str) -> Result<RoleRow, ApiError> {
    plane.store().role(name).await?.ok_or(ApiError::NotFound)
}
