//! API keys.

use serde_json::{Value, json};

use super::{ID, Named, TIME, closed, line, listing, nullable, object, patterns, refer, shown};

pub(super) fn keys() -> Named {
    let key = json!({
        "id": ID, "lookup_id": "3fK9aTz0Qm1bXy7W", "user_id": ID, "name": "ci",
        "permissions": ["orders:read"], "environment": "live", "allowed_ips": ["10.0.0.0/8"],
        "rate": null, "quota": null, "expires_at": TIME, "disabled": false, "revoked_at": null,
        "last_used_at": null, "metadata": { "team": "orders" }, "rotated_from": null,
        "created_by": ID, "created_at": TIME, "updated_at": TIME,
    });
    let may_be_null = [
        "lookup_id",
        "rate",
        "quota",
        "expires_at",
        "revoked_at",
        "last_used_at",
        "metadata",
        "rotated_from",
        "created_by",
    ];
    let mut created = key.clone();
    created["api_key"] = json!("gp_live_3fK9aTz0Qm1bXy7W_…");
    let members = json!({
        "name": line(200), "permissions": patterns(), "environment": nullable(refer("Environment")),
        "expires_at": nullable(refer("Time")), "allowed_ips": nullable(networks()),
        "rate": limit("60/min"), "quota": limit("10000/month"), "metadata": nullable(json!({ "type": "object" })),
    });
    let mut import = members.clone();
    import["user_id"] = refer("Id");
    import["key_hash"] = json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" });
    let mut patch = members.clone();
    patch["disabled"] = json!({ "type": "boolean" });
    patch.as_object_mut().map(|members| members.remove("environment"));
    vec![
        ("ApiKey", shown(&key, &may_be_null)),
        ("ApiKeyList", listing("ApiKey", &key)),
        ("CreatedApiKey", shown(&created, &may_be_null)),
        (
            "NewApiKey",
            closed(
                members,
                &["name", "permissions"],
                json!({ "name": "ci", "permissions": ["orders:read"] }),
            ),
        ),
        ("ApiKeyPatch", closed(patch, &[], json!({ "disabled": true }))),
        (
            "ImportedApiKey",
            closed(
                import,
                &["user_id", "key_hash", "name", "permissions"],
                json!({ "user_id": ID, "key_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "name": "legacy", "permissions": ["orders:read"] }),
            ),
        ),
        (
            "Rotation",
            closed(
                json!({ "overlap": { "type": ["string", "null"], "pattern": "^(0|[1-9][0-9]{0,2})(s|min|h)$|^[1-9][0-9]?d$|^[12][0-9]{2}d$|^3[0-5][0-9]d$|^36[0-5]d$" } }),
                &[],
                json!({ "overlap": "24h" }),
            ),
        ),
        (
            "PresentedKey",
            closed(
                json!({ "api_key": { "type": "string", "minLength": 1, "maxLength": 1024 } }),
                &["api_key"],
                json!({ "api_key": "gp_live_3fK9aTz0Qm1bXy7W_…" }),
            ),
        ),
        (
            "Profile",
            object(profile(), &["user", "key", "permissions", "limits"], profile_example()),
        ),
        ("LimitStanding", limit_standing()),
        (
            "Attention",
            json!({ "enum": ["nearing_expiry", "never_used", "unused"], "description": "Keys that work, and end within two weeks, were never used, or have not been for 90 days", "examples": ["unused"] }),
        ),
        ("Verified", verified()),
        ("Days", json!({ "type": "integer", "minimum": 1, "maximum": 365, "examples": [30] })),
        ("UnusedPermissions", unused_permissions()),
    ]
}

fn unused_permissions() -> Value {
    let patterns = json!({ "type": "array", "items": refer("Pattern") });
    object(
        json!({
            "since": { "type": "string", "format": "date-time" },
            "unused": patterns,
            "needed": patterns,
            "unknown_routes": { "type": "array", "items": { "type": "string" } },
        }),
        &["since", "unused", "needed", "unknown_routes"],
        json!({
            "since": "2030-01-01T12:00:00Z",
            "unused": ["orders:delete"],
            "needed": ["orders:read"],
            "unknown_routes": [],
        }),
    )
}

fn profile() -> Value {
    let example = profile_example();
    json!({
        "user": shown(&example["user"], &["subscription_tier"]),
        "key": shown(&example["key"], &["lookup_id", "expires_at"]),
        "permissions": { "type": "array", "items": refer("Pattern") },
        "limits": { "type": "array", "items": refer("LimitStanding") },
    })
}

fn limit_standing() -> Value {
    shown(
        &json!({ "limit": "tier-rate", "count": 60, "window_seconds": 60, "remaining": 59, "reset_seconds": 1 }),
        &[],
    )
}

fn profile_example() -> Value {
    json!({
        "user": { "id": ID, "email": "ada@example.com", "subscription_tier": null, "roles": ["order-clerk"] },
        "key": { "id": ID, "lookup_id": "3fK9aTz0Qm1bXy7W", "name": "ci", "environment": "live", "allowed_ips": [], "expires_at": null },
        "permissions": ["orders:read"],
        "limits": [limit_standing()["examples"][0]],
    })
}

fn verified() -> Value {
    let mut members = profile();
    members["valid"] = json!({ "type": "boolean" });
    members["code"] = json!({ "type": ["string", "null"] });
    object(members, &["valid", "code"], json!({ "valid": false, "code": "invalid_key" }))
}

/// A limit of the key's own, beside its owner's tier.
fn limit(example: &str) -> Value {
    json!({ "type": ["string", "null"], "maxLength": 64, "examples": [example] })
}

fn networks() -> Value {
    json!({ "type": "array", "items": { "type": "string", "description": "An address, or a network without bits beyond its prefix" }, "maxItems": 100 })
}
