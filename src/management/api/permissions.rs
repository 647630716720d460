//! The names of what can be allowed.

use axum::extract::State;
use http::Uri;
use jiff::Timestamp;
use serde::Serialize;

use crate::key::Permission;
use crate::management::caller::Caller;
use crate::management::plane::Plane;
use crate::management::wire::{
    Answer, ApiError, FromMembers, ListKey, Members, Named, Params, Parsed, created, list,
    no_content, value, versioned,
};
use crate::store::{Change, NewPermission, PermissionRow};

impl FromMembers for NewPermission {
    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        Ok(NewPermission {
            name: members.required("name", value::permission)?,
            category: members.optional("category", value::label)?,
            description: members.optional("description", value::text)?,
        })
    }
}

#[derive(Serialize)]
struct PermissionView {
    name: String,
    category: Option<String>,
    description: Option<String>,
    built_in: bool,
    created_at: Timestamp,
}

impl From<PermissionRow> for PermissionView {
    fn from(row: PermissionRow) -> Self {
        Self {
            name: row.name.to_string(),
            category: row.category,
            description: row.description,
            built_in: row.built_in,
            created_at: row.created_at,
        }
    }
}

pub async fn list_all(State(plane): State<Plane>, uri: Uri) -> Answer {
    let page = Params::read(&uri, |params| params.page(ListKey::Name))?;
    list(plane.store().permissions(&page).await?, PermissionView::from)
}

pub async fn read(State(plane): State<Plane>, Named(name): Named) -> Answer {
    let name = Permission::parse(&name).map_err(|_| ApiError::NotFound)?;
    let row = plane.store().permission(&name).await?.ok_or(ApiError::NotFound)?;
    versioned(row.created_at, PermissionView::from(row))
}

pub async fn create(
    State(plane): State<Plane>,
    caller: Caller,
    Parsed(new): Parsed<NewPermission>,
) -> Answer {
    let by = plane.commit(Change::CreatePermission(new.clone()), &caller).await?;
    let location = format!("/api/v1/admin/permissions/{}", new.name);
    let NewPermission { name, category, description } = new;
    let view = PermissionView {
        name: name.to_string(),
        category,
        description,
        built_in: false,
        created_at: by.at,
    };
    created(&location, view)
}

pub async fn delete(State(plane): State<Plane>, caller: Caller, Named(name): Named) -> Answer {
    let name = Permission::parse(&name).map_err(|_| ApiError::NotFound)?;
    plane.commit(Change::DeletePermission { name }, &caller).await?;
    no_content()
}
