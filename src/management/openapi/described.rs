//! What the table does not say of its operations: words, bodies and answers.

/// What an operation takes and gives.
pub(super) struct Described {
    pub summary: &'static str,
    pub query: Vec<(&'static str, &'static str)>,
    /// Those of them that must be there.
    pub needed: &'static [&'static str],
    /// What its body or its parameters name may be nothing that the caller may know of.
    pub may_miss: bool,
    /// It is not a change of the store's own things: neither `If-Match` nor `Idempotency-Key`.
    pub without_terms: bool,
    /// What the `{name}` of its path is.
    pub name_schema: &'static str,
    pub body: Option<Body>,
    pub good: Vec<Good>,
    /// Its answer carries an `ETag`.
    pub versioned: bool,
}

pub(super) struct Body {
    pub schema: &'static str,
    pub required: bool,
}

/// A success.
pub(super) struct Good {
    pub status: u16,
    pub description: &'static str,
    /// Media types and their schemas.
    pub content: Vec<(&'static str, &'static str)>,
}

const JSON: &str = "application/json";
const PAGE: [(&str, &str); 2] = [("limit", "Limit"), ("cursor", "Cursor")];
const KEY_FILTERS: [(&str, &str); 8] = [
    ("environment", "Environment"),
    ("lookup_id", "LookupId"),
    ("revoked", "Boolean"),
    ("disabled", "Boolean"),
    ("expires_before", "Time"),
    ("never_used", "Boolean"),
    ("unused_since", "Time"),
    ("attention", "Attention"),
];

const COUNTS: [(&str, &str); 6] = [
    ("from", "Time"),
    ("to", "Time"),
    ("user_id", "Id"),
    ("key_id", "Id"),
    ("route", "FilterText"),
    ("outcome", "FilterText"),
];
/// Some of them are of one kind of record alone.
const RECORDS: [(&str, &str); 16] = [
    ("kind", "LogKind"),
    ("from", "Time"),
    ("to", "Time"),
    ("user_id", "Id"),
    ("key_id", "Id"),
    ("route", "FilterText"),
    ("outcome", "FilterText"),
    ("method", "FilterText"),
    ("status", "StatusCode"),
    ("request_id", "Id"),
    ("client_ip", "Address"),
    ("event", "FilterText"),
    ("action", "FilterText"),
    ("actor_user_id", "Id"),
    ("subject_kind", "FilterText"),
    ("subject_id", "FilterText"),
];
const SOURCE: [(&str, &str); 2] = [("user_id", "Id"), ("source", "Address")];

#[cfg(test)]
pub(super) fn is_known(operation: &str) -> bool {
    of(operation).summary != UNDESCRIBED
}

const UNDESCRIBED: &str = "";

#[rustfmt::skip]
pub(super) fn of(operation: &str) -> Described {
    match operation {
        "health" | "livez" => read("Whether this process is alive", "Health"),
        "readyz" => read("Whether this node takes requests", "Health").or(503, "It does not", JSON, "Health"),
        "metrics" => text("Metrics for Prometheus", "text/plain", "Text"),
        "status"  => read("How this node is doing; more with `system:diagnostics`", "Status"),
        "jwks"    => read("The keys that the assertions for upstreams are checked with (RFC 7517)", "KeySet"),
        "openapi" => read("This document", "Object"),
        "docs"    => text("This document, for people", "text/html", "Text"),
        "docs_file" => text("What the page for people is made of", "text/*", "Text").named("DocsFile"),

        "read_profile" => read("What the key that is used is, and may do", "Profile"),

        "list_own_keys" | "list_user_keys" => list("A user's keys, oldest first", "ApiKeyList").filtered(&KEY_FILTERS),
        "list_keys" => list("Everybody's keys, oldest first", "ApiKeyList").filtered(&KEY_FILTERS).filtered(&[("user_id", "Id")]),
        "create_own_key" | "create_user_key" => create("Make a key; it is shown this once", "NewApiKey", "CreatedApiKey"),
        "read_own_key" | "read_key" => read("A key, without its secret", "ApiKey").versioned(),
        "update_own_key" | "update_key" => change("Change a key; `metadata` is merged (RFC 7396)", "ApiKeyPatch", "ApiKey"),
        "revoke_own_key" | "revoke_key" => delete("Revoke a key, for ever"),
        "rotate_own_key" | "rotate_key" => create("Make a key in the place of this one, which goes on working for `overlap`", "Rotation", "CreatedApiKey").body_optional(),
        "import_key" => create("Take over a key of another system by its SHA-256", "ImportedApiKey", "ApiKey").may_miss(),
        "verify_key" => read("What a key is, without calling anything with it", "Verified").body("PresentedKey").without_terms(),
        "unused_permissions" => read("What a key was granted and no request has needed lately", "UnusedPermissions").filtered(&[("days", "Days")]),

        "list_users"  => list("Users, oldest first", "UserList").filtered(&[("email", "FilterText"), ("role", "FilterText"), ("locked", "Boolean")]),
        "create_user" => create("Make a user", "NewUser", "User"),
        "read_user"   => read("A user", "User").versioned(),
        "update_user" => change("Change a user", "UserPatch", "User"),
        "delete_user" => delete("Delete a user and revoke their keys"),
        "lock_user"   => delete("Lock an account").body("Lock").body_optional(),
        "unlock_user" => delete("Unlock an account"),
        "add_roles"   => change("Give a user roles", "RoleNames", "User"),
        "remove_role" => delete("Take a role from a user").named("RoleName"),

        "list_roles"  => list("Roles, by name", "RoleList"),
        "create_role" => create("Make a role", "NewRole", "Role"),
        "read_role"   => read("A role", "Role").versioned().named("RoleName"),
        "update_role" => change("Change a role", "RolePatch", "Role").named("RoleName"),
        "delete_role" => delete("Delete a role and take it from its holders").named("RoleName"),

        "list_permissions"  => list("Permissions, by name", "PermissionList"),
        "create_permission" => create("Define a permission", "NewPermission", "Permission"),
        "read_permission"   => read("A permission", "Permission").versioned().named("PermissionName"),
        "delete_permission" => delete("Take a permission out of the list to choose from").named("PermissionName"),

        "read_own_usage" => read("What one's own keys were used for, counted", "Analytics").filtered(&COUNTS).filtered(&[("step", "Step"), ("by", "OwnDimension")]).may_miss(),
        "read_analytics" => read("What all keys were used for, counted", "Analytics").filtered(&COUNTS).filtered(&[("step", "Step"), ("by", "Dimension")]),
        "export_analytics" => export("The counts by the minute, streamed").filtered(&COUNTS).filtered(&[("format", "Format")]),
        "list_logs"   => list("Records, newest first", "RecordList").filtered(&RECORDS).needing(&["kind"]),
        "export_logs" => export("Records, streamed").filtered(&RECORDS).filtered(&[("format", "Format")]).needing(&["kind"]),

        "list_blocks"     => list("Sources and accounts that are kept out", "BlockList").filtered(&SOURCE),
        "lift_block"      => delete("Lift a block").without_terms(),
        "failed_attempts" => read("What has failed lately, by account or by source", "AttemptList").filtered(&SOURCE),
        "follow_events"   => text("Security events as they happen (server-sent)", "text/event-stream", "Text"),

        "read_config" => read("The running configuration, without secrets; routes in match order", "Object"),
        "reload_config" => read("Read the configuration again; an invalid one changes nothing", "Object").without_terms(),
        "diagnostics" => read("What somebody should look at", "Diagnostics"),

        _ => read(UNDESCRIBED, "Object"),
    }
}

fn answer(summary: &'static str, good: Good) -> Described {
    Described {
        summary,
        query: Vec::new(),
        needed: &[],
        may_miss: false,
        without_terms: false,
        name_schema: "RoleName",
        body: None,
        good: vec![good],
        versioned: false,
    }
}

fn read(summary: &'static str, schema: &'static str) -> Described {
    text(summary, JSON, schema)
}

fn text(summary: &'static str, media_type: &'static str, schema: &'static str) -> Described {
    let content = vec![(media_type, schema)];
    answer(summary, Good { status: 200, description: "Here it is", content })
}

fn list(summary: &'static str, schema: &'static str) -> Described {
    read(summary, schema).filtered(&PAGE)
}

fn export(summary: &'static str) -> Described {
    let content = vec![("application/x-ndjson", "Text"), ("text/csv", "Text")];
    answer(summary, Good { status: 200, description: "Line by line", content })
}

fn create(summary: &'static str, body: &'static str, schema: &'static str) -> Described {
    let content = vec![(JSON, schema)];
    answer(summary, Good { status: 201, description: "It is made", content }).body(body)
}

fn change(summary: &'static str, body: &'static str, schema: &'static str) -> Described {
    read(summary, schema).body(body).versioned()
}

fn delete(summary: &'static str) -> Described {
    answer(summary, Good { status: 204, description: "Done", content: Vec::new() })
}

impl Described {
    fn or(
        mut self,
        status: u16,
        description: &'static str,
        media_type: &'static str,
        schema: &'static str,
    ) -> Self {
        self.good.push(Good { status, description, content: vec![(media_type, schema)] });
        self
    }

    fn filtered(mut self, filters: &[(&'static str, &'static str)]) -> Self {
        self.query.extend_from_slice(filters);
        self
    }

    fn needing(self, needed: &'static [&'static str]) -> Self {
        Self { needed, ..self }
    }

    fn without_terms(self) -> Self {
        Self { without_terms: true, ..self }
    }

    fn may_miss(self) -> Self {
        Self { may_miss: true, ..self }
    }

    fn named(self, name_schema: &'static str) -> Self {
        Self { name_schema, ..self }
    }

    fn body(self, schema: &'static str) -> Self {
        Self { body: Some(Body { schema, required: true }), ..self }
    }

    fn body_optional(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body.required = false;
        }
        self
    }

    fn versioned(self) -> Self {
        Self { versioned: true, ..self }
    }
}
