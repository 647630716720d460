//! Users, roles and permissions.

use serde_json::json;

use super::{
    ID, LINE, Named, TIME, closed, email, line, listing, nullable, patterns, refer, shown,
};

pub(super) fn users() -> Named {
    let user = json!({
        "id": ID, "email": "ada@example.com", "display_name": "Ada", "subscription_tier": null,
        "is_locked": false, "locked_until": null, "lock_reason": null, "roles": ["order-clerk"],
        "created_at": TIME, "updated_at": TIME,
    });
    let roles = json!({ "type": "array", "items": refer("RoleName"), "maxItems": 100 });
    let tier = json!({ "type": ["string", "null"], "pattern": LINE, "maxLength": 64, "description": "A tier of the configuration; null is unlimited" });
    let new = json!({ "email": email(), "display_name": nullable(line(200)), "subscription_tier": tier, "roles": roles });
    let mut given = roles.clone();
    given["minItems"] = 1.into();
    vec![
        (
            "User",
            shown(&user, &["display_name", "subscription_tier", "locked_until", "lock_reason"]),
        ),
        ("UserList", listing("User", &user)),
        (
            "NewUser",
            closed(
                new.clone(),
                &["email"],
                json!({ "email": "ada@example.com", "roles": ["order-clerk"] }),
            ),
        ),
        ("UserPatch", closed(new, &[], json!({ "display_name": "Ada" }))),
        (
            "Lock",
            closed(
                json!({ "until": nullable(refer("Time")), "reason": nullable(line(500)) }),
                &[],
                json!({ "reason": "left the company" }),
            ),
        ),
        (
            "RoleNames",
            closed(json!({ "roles": given }), &["roles"], json!({ "roles": ["order-clerk"] })),
        ),
    ]
}

pub(super) fn roles() -> Named {
    let role = json!({ "name": "order-clerk", "description": "Reads orders", "permissions": ["orders:read"], "built_in": false, "created_at": TIME, "updated_at": TIME });
    let permission = json!({ "name": "orders:read", "category": "orders", "description": null, "built_in": false, "created_at": TIME });
    let description = nullable(line(500));
    vec![
        ("Role", shown(&role, &["description"])),
        ("RoleList", listing("Role", &role)),
        (
            "NewRole",
            closed(
                json!({ "name": refer("RoleName"), "description": description, "permissions": patterns() }),
                &["name", "permissions"],
                json!({ "name": "order-clerk", "permissions": ["orders:read"] }),
            ),
        ),
        (
            "RolePatch",
            closed(
                json!({ "description": description, "permissions": patterns() }),
                &[],
                json!({ "permissions": ["orders:*"] }),
            ),
        ),
        ("Permission", shown(&permission, &["category", "description"])),
        ("PermissionList", listing("Permission", &permission)),
        (
            "NewPermission",
            closed(
                json!({ "name": refer("PermissionName"), "category": nullable(line(100)), "description": description }),
                &["name"],
                json!({ "name": "orders:read", "category": "orders" }),
            ),
        ),
    ]
}
