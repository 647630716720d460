//! The permissions and roles that every instance begins with. Operators add their own.

/// Name, category, description: 24 in eight categories.
pub const BUILT_IN_PERMISSIONS: &[(&str, &str, &str)] = &[
    ("users:create", "user management", "Create users"),
    ("users:read", "user management", "See all users, their roles and their locks"),
    ("users:update", "user management", "Change, lock and unlock users"),
    ("users:delete", "user management", "Delete users, which revokes their keys"),
    ("api_keys:create", "API keys", "Make API keys"),
    ("api_keys:read", "API keys", "See API keys, never their secrets"),
    ("api_keys:rotate", "API keys", "Change API keys and replace them by new ones"),
    ("api_keys:revoke", "API keys", "End API keys for good"),
    ("permissions:read", "permissions", "See roles and permissions"),
    ("permissions:assign", "permissions", "Give roles to users"),
    ("permissions:revoke", "permissions", "Take roles from users"),
    ("roles:manage", "permissions", "Define roles and permissions"),
    ("system:health", "system monitoring", "See how the gateway and its parts are doing"),
    ("system:diagnostics", "system monitoring", "See the inner state: caches, queues, the store"),
    ("logs:read", "logs", "Read the audit log, security events and usage records"),
    ("logs:export", "logs", "Export the audit log, security events and usage records"),
    ("admin", "system administration", "Do everything on the management API"),
    ("system:configure", "system administration", "See the configuration; lift blocks"),
    ("system:reload", "system administration", "Load the configuration file again"),
    ("analytics:read", "analytics", "See usage by user, key and route"),
    ("analytics:export", "analytics", "Export usage by user, key and route"),
    ("protected:read", "protected operations", "Read what the operator calls protected"),
    ("protected:write", "protected operations", "Write what the operator calls protected"),
    ("protected:execute", "protected operations", "Run what the operator calls protected"),
];

/// Name, description, patterns.
///
/// The operator runs the system and sees who uses it, but has nothing that creates users or keys,
/// or changes what anybody may do: power is handed out by admins alone. One's own profile and
/// usage need no permission.
pub const BUILT_IN_ROLES: &[(&str, &str, &[&str])] = &[
    ("admin", "Everything, also what is added later", &["*"]),
    (
        "operator",
        "Runs the system and sees users and keys; hands out no power",
        &[
            "system:health",
            "system:diagnostics",
            "system:configure",
            "system:reload",
            "users:read",
            "api_keys:read",
            "permissions:read",
            "logs:read",
            "analytics:read",
        ],
    ),
    (
        "auditor",
        "Reads and exports logs and analytics; changes nothing",
        &["logs:read", "logs:export", "analytics:read", "analytics:export"],
    ),
    (
        "developer",
        "Looks after their own profile, keys and usage",
        &["api_keys:create", "api_keys:read", "api_keys:rotate", "api_keys:revoke"],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::key::{Grants, Pattern, Permission};

    fn role(wanted: &str) -> Grants {
        let (_, _, patterns) = BUILT_IN_ROLES.iter().find(|(name, ..)| *name == wanted).unwrap();
        patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn there_are_24_permissions_in_eight_categories() {
        let names: BTreeSet<_> = BUILT_IN_PERMISSIONS
            .iter()
            .map(|(name, ..)| Permission::parse(name).unwrap())
            .collect();
        let categories: BTreeSet<_> = BUILT_IN_PERMISSIONS.iter().map(|(_, c, _)| c).collect();
        assert_eq!((names.len(), categories.len()), (24, 8));
    }

    #[test]
    fn only_admins_hand_out_power() {
        for name in ["operator", "auditor", "developer"] {
            for power in ["admin", "permissions:assign", "roles:manage", "users:create"] {
                assert!(!role(name).allow(&Permission::parse(power).unwrap()), "{name} {power}");
            }
        }
        assert!(role("admin").allow(&Permission::parse("admin").unwrap()));
    }

    #[test]
    fn roles_name_permissions_that_exist() {
        let names: Vec<_> = BUILT_IN_PERMISSIONS.iter().map(|(name, ..)| *name).collect();
        for (role, _, patterns) in BUILT_IN_ROLES {
            let known = |p: &&&str| **p == "*" || names.contains(*p);
            assert!(patterns.iter().all(|p| known(&p)), "{role}");
        }
    }
}
