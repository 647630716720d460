//! What a broken constraint means to the person whose change broke it.
//!
//! The constraints have the same names in both dialects, so that this is said once.

use super::StoreError;

/// The error for the constraint or unique index `name`; `None` for one that no caller can break.
pub(super) fn of(name: &str) -> Option<StoreError> {
    if let Some(field) = taken(name) {
        return Some(StoreError::Conflict { field });
    }
    unfit(name).map(StoreError::Invalid)
}

fn taken(name: &str) -> Option<&'static str> {
    Some(match name {
        "users_pkey" | "users.id" | "api_keys_pkey" | "api_keys.id" => "id",
        "users_email" | "users.email_folded" => "email",
        "roles_pkey" | "roles.name" | "permissions_pkey" | "permissions.name" => "name",
        "api_keys_lookup_id" | "api_keys.lookup_id" => "lookup_id",
        "api_keys_key_hash" | "api_keys.key_hash" => "key_hash",
        _ => return None,
    })
}

fn unfit(name: &str) -> Option<&'static str> {
    Some(match name {
        "users_email_shape" => "an email has 3 to 254 characters and an @ after the first",
        "users_display_name_length" => "a display name has 1 to 200 characters",
        "users_subscription_tier_length" => "a tier's name has 1 to 64 characters",
        "users_lock_reason_length" => "the reason of a lock has 1 to 500 characters",
        "roles_name_length" => "a role's name has 1 to 100 characters",
        "roles_description_length" => "a role's description has at most 500 characters",
        "role_permissions_pattern_length" => "a permission has at most 200 characters",
        "permissions_name_length" => "a permission has at most 200 characters",
        "permissions_category_length" => "a permission's category has 1 to 100 characters",
        "permissions_description_length" => "a permission's description has at most 500 characters",
        "api_keys_name_length" => "a key's name has 1 to 200 characters",
        "api_keys_permissions_count" => "a key has at most 200 permissions",
        "api_keys_environment_shape" => "an environment is 2 to 12 of a-z and 0-9",
        "api_keys_allowed_ips_count" => "a key has at most 200 allowed networks",
        "api_keys_rate_length" => "a rate has 1 to 64 characters",
        "api_keys_quota_length" => "a quota has 1 to 64 characters",
        "api_keys_metadata_size" => "a key's metadata has at most 8 KiB",
        _ => return None,
    })
}

/// Text that no store keeps.
pub(super) const NUL: StoreError = StoreError::Invalid("text cannot hold a NUL character");
