use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::key::{Digest, Environment, Pattern};
use crate::management::wire::{ApiError, FromMembers, Members, value};
use crate::store::KeyPatch;

/// A key to be made. Its permissions must be written out, be it as an empty list.
#[derive(Debug)]
pub struct KeyBody {
    pub name: String,
    pub permissions: Vec<Pattern>,
    pub environment: Environment,
    pub expires_at: Option<Timestamp>,
    pub allowed_ips: Vec<IpNet>,
    pub rate: Option<String>,
    pub quota: Option<String>,
    pub metadata: Option<Value>,
}

impl FromMembers for KeyBody {
    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        Ok(KeyBody {
            name: members.required("name", value::name)?,
            permissions: members.required("permissions", value::patterns)?,
            environment: members.optional("environment", value::environment)?.unwrap_or_default(),
            expires_at: members.optional("expires_at", value::time)?,
            allowed_ips: members.optional("allowed_ips", value::networks)?.unwrap_or_default(),
            rate: members.optional("rate", value::rate)?,
            quota: members.optional("quota", value::quota)?,
            metadata: members.optional("metadata", value::metadata)?,
        })
    }
}

impl KeyBody {
    pub(super) fn check_expiry(&self, now: Timestamp) -> Result<(), ApiError> {
        check_end(self.expires_at, now)
    }
}

/// A key that is dead from the start is a mistake, not a wish.
pub(super) fn check_end(expires_at: Option<Timestamp>, now: Timestamp) -> Result<(), ApiError> {
    match expires_at {
        Some(expires_at) if expires_at <= now => {
            Err(ApiError::field("expires_at", "is in the past"))
        }
        _ => Ok(()),
    }
}

impl FromMembers for KeyPatch {
    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        Ok(KeyPatch {
            name: members.changed("name", value::name)?,
            permissions: members.changed("permissions", value::patterns)?,
            // Removing the networks is removing the restriction.
            allowed_ips: members
                .nullable("allowed_ips", value::networks)?
                .map(Option::unwrap_or_default),
            rate: members.nullable("rate", value::rate)?,
            quota: members.nullable("quota", value::quota)?,
            expires_at: members.nullable("expires_at", value::time)?,
            disabled: members.changed("disabled", value::boolean)?,
            metadata: members.nullable("metadata", value::metadata)?,
        })
    }
}

/// How long the old key goes on working beside the new one.
pub struct RotateBody {
    pub overlap: SignedDuration,
}

impl FromMembers for RotateBody {
    const MAY_BE_ABSENT: bool = true;

    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        let overlap = members.optional("overlap", value::duration)?;
        Ok(RotateBody { overlap: overlap.unwrap_or(SignedDuration::ZERO) })
    }
}

/// A key of another system, known by its digest alone.
pub struct ImportBody {
    pub user_id: Uuid,
    pub key_hash: Digest,
    pub key: KeyBody,
}

impl FromMembers for ImportBody {
    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        Ok(ImportBody {
            user_id: members.required("user_id", value::id)?,
            key_hash: members.required("key_hash", value::digest)?,
            key: KeyBody::from_members(members)?,
        })
    }
}

/// A key that somebody presents, to be told what it is.
pub struct VerifyBody {
    pub api_key: Zeroizing<String>,
}

impl FromMembers for VerifyBody {
    fn from_members(members: &mut Members) -> Result<Self, ApiError> {
        Ok(VerifyBody { api_key: members.required("api_key", value::presented_key)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<KeyBody, ApiError> {
        Members::read(json.as_bytes(), KeyBody::from_members)
    }

    fn refused_field(json: &str) -> String {
        match read(json) {
            Err(ApiError::InvalidBody { field: Some(field), .. }) => field,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn what_is_absent_is_never_everything() {
        let body = read(r#"{"name":"ci","permissions":[]}"#).unwrap();
        assert!(body.permissions.is_empty());
        assert_eq!(body.environment.as_str(), "live");
        assert_eq!(refused_field(r#"{"name":"ci"}"#), "permissions");
        assert_eq!(refused_field(r#"{"name":"ci","permissions":null}"#), "permissions");
        assert_eq!(refused_field(r#"{"permissions":[]}"#), "name");
    }

    #[test]
    fn a_member_that_nobody_holds_to_is_refused() {
        let with = |member: &str| format!(r#"{{"name":"ci","permissions":[],{member}}}"#);
        assert_eq!(refused_field(&with(r#""rate":"5 a second""#)), "rate");
        assert_eq!(refused_field(&with(r#""quota":"5/s""#)), "quota");
        assert_eq!(refused_field(&with(r#""permission":["*"]"#)), "permission");
        assert_eq!(refused_field(&with(r#""user_id":"x""#)), "user_id");
        assert!(read(&with(r#""rate":null,"quota":null"#)).is_ok());
    }

    #[test]
    fn an_end_in_the_past_is_refused() {
        let body = read(
            r#"{"name":"ci","permissions":["orders:read"],"expires_at":"2030-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        let end = body.expires_at.unwrap();
        assert!(body.check_expiry(end).is_err());
        assert!(body.check_expiry(end - jiff::SignedDuration::from_micros(1)).is_ok());
    }
}
