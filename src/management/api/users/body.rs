use jiff::Timestamp;

use crate::management::wire::{ApiError, FromMembers, Members, value};
use crate::store::UserPatch;

/// A user to be made.
pub struct UserBody {
    pub email: String,
    pub display_name: Option<String>,
    pub subscription_tier: Option<String>,
    pub roles: Vec<String>,
}

impl FromMembers for UserBody {
    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        Ok(UserBody {
            email: members.required("email", value::email)?,
            display_name: members.optional("display_name", value::name)?,
            subscription_tier: members.optional("subscription_tier", value::name)?,
            roles: members.optional("roles", value::role_names)?.unwrap_or_default(),
        })
    }
}

impl FromMembers for UserPatch {
    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        Ok(UserPatch {
            email: members.changed("email", value::email)?,
            display_name: members.nullable("display_name", value::name)?,
            tier: members.nullable("subscription_tier", value::name)?,
            roles: members.changed("roles", value::role_names)?,
        })
    }
}

pub struct LockBody {
    pub until: Option<Timestamp>,
    pub reason: Option<String>,
}

impl FromMembers for LockBody {
    const MAY_BE_ABSENT: bool = true;

    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        Ok(LockBody {
            until: members.optional("until", value::time)?,
            reason: members.optional("reason", value::text)?,
        })
    }
}

pub struct RolesBody {
    pub roles: Vec<String>,
}

impl FromMembers for RolesBody {
    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        let roles = members.required("roles", value::role_names)?;
        if roles.is_empty() {
            return Err(ApiError::field("roles", "must name a role"));
        }
        Ok(RolesBody { roles })
    }
}
