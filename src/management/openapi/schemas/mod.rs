//! The shapes of bodies, parameters and answers, each with an example.

mod keys;
mod node;
mod people;

use serde_json::{Map, Value, json};

pub(super) const ID: &str = "0192f3a0-0000-7000-8000-0000000000ab";
const TIME: &str = "2030-01-31T12:00:00Z";
/// At least one character that is neither space nor control; controls nowhere.
const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";
const PERMISSION: &str = "^(admin|[a-z][a-z0-9_]{0,40}:[a-z][a-z0-9_]{0,40})$";
const PATTERN: &str =
    r"^(\*|admin|[a-z][a-z0-9_]{0,40}:([a-z][a-z0-9_]{0,40}|\*)|\*:[a-z][a-z0-9_]{0,40})$";

/// Every schema by its name.
pub(super) fn all() -> Value {
    Value::Object(named().into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect())
}

fn named() -> Named {
    [values(), node::usage(), people::users(), people::roles(), keys::keys(), node::node()].concat()
}

/// The example of a schema.
pub(super) fn example(name: &str) -> Value {
    let mut example = all()[name]["examples"][0].take();
    if example.is_null() {
        example = json!({});
    }
    example
}

type Named = Vec<(&'static str, Value)>;

fn values() -> Named {
    vec![
        (
            "Id",
            json!({ "type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$", "examples": [ID] }),
        ),
        (
            "Time",
            json!({ "type": "string", "format": "date-time", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", "examples": [TIME] }),
        ),
        ("Boolean", json!({ "type": "boolean", "examples": [false] })),
        (
            "Wait",
            json!({ "type": "boolean", "description": "Whether to answer when the change is effective on every node that lives, after five seconds at most", "examples": [true] }),
        ),
        (
            "FilterText",
            json!({ "type": "string", "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$", "examples": ["ada@example.com"] }),
        ),
        (
            "Environment",
            json!({ "type": "string", "pattern": "^[a-z0-9]{2,12}$", "examples": ["live"] }),
        ),
        (
            "LookupId",
            json!({ "type": "string", "pattern": "^[0-9A-Za-z]{16}$", "examples": ["3fK9aTz0Qm1bXy7W"] }),
        ),
        (
            "Limit",
            json!({ "type": "integer", "minimum": 1, "default": 50, "description": "More than 200 is 200", "examples": [50] }),
        ),
        (
            "Cursor",
            json!({ "type": "string", "description": "A `next_cursor` of the same list", "examples": ["MDE5MmYzYTAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMGFi"] }),
        ),
        (
            "IdempotencyKey",
            json!({ "type": "string", "pattern": "^[!-~]{1,255}$", "description": "The request may be sent again under it for a day: what showed a key answers 409 with the `id`, anything else is answered again", "examples": ["7d1c1a52-create-ci-key"] }),
        ),
        (
            "ETag",
            json!({ "type": "string", "pattern": "^\"[0-9a-f]{1,16}\"$", "description": "The `ETag` that the change builds on; 412 when it has changed since", "examples": ["\"6bd9e2f1c3a40\""] }),
        ),
        ("Text", json!({ "type": "string", "examples": ["…"] })),
        ("Object", json!({ "type": "object", "examples": [{}] })),
        (
            "DocsFile",
            json!({ "enum": ["start.js", "swagger-ui.css", "swagger-ui-bundle.js"], "examples": ["start.js"] }),
        ),
        (
            "RoleName",
            json!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$", "examples": ["order-clerk"] }),
        ),
        (
            "PermissionName",
            json!({ "type": "string", "pattern": PERMISSION, "examples": ["orders:read"] }),
        ),
        (
            "Pattern",
            json!({ "type": "string", "pattern": PATTERN, "description": "A permission; either side may be `*`", "examples": ["orders:*"] }),
        ),
        ("Problem", problem()),
    ]
}

fn problem() -> Value {
    object(
        json!({
            "type": { "type": "string" }, "title": { "type": "string" },
            "status": { "type": "integer" }, "detail": { "type": "string" },
            "code": { "type": "string" }, "request_id": refer("Id"),
            "field": { "type": "string" }, "id": { "type": "string" },
            "required": { "type": "array", "items": refer("PermissionName") },
            "retry_after": { "type": "integer" },
        }),
        &["type", "title", "status", "detail", "code", "request_id"],
        json!({ "type": "urn:gatepost:denial:missing_key", "title": "Unauthorized", "status": 401, "detail": "Missing API key", "code": "missing_key", "request_id": ID }),
    )
}

fn refer(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn nullable(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

fn line(longest: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": longest, "pattern": LINE })
}

fn email() -> Value {
    json!({ "type": "string", "format": "email", "maxLength": 254 })
}

fn patterns() -> Value {
    json!({ "type": "array", "items": refer("Pattern"), "maxItems": 100 })
}

fn object(properties: Value, required: &[&str], example: Value) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "examples": [example] })
}

/// A body: what is not a member of it is refused.
fn closed(properties: Value, required: &[&str], example: Value) -> Value {
    let mut schema = object(properties, required, example);
    schema["additionalProperties"] = false.into();
    schema
}

fn listing(name: &str, example: &Value) -> Value {
    object(
        json!({ "data": { "type": "array", "items": refer(name) }, "next_cursor": { "type": ["string", "null"] } }),
        &["data", "next_cursor"],
        json!({ "data": [example], "next_cursor": null }),
    )
}

/// What is answered has every member of its example, each of the example's type.
fn shown(example: &Value, may_be_null: &[&str]) -> Value {
    let members = example.as_object().cloned().unwrap_or_default();
    let required: Vec<_> = members.keys().map(String::as_str).collect();
    let properties: Map<_, _> = members
        .iter()
        .map(|(name, value)| {
            (name.clone(), shape(name, value, may_be_null.contains(&name.as_str())))
        })
        .collect();
    object(Value::Object(properties), &required, example.clone())
}

fn shape(name: &str, value: &Value, may_be_null: bool) -> Value {
    let kind = match value {
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) | Value::Null => "string",
    };
    let is_time = name.ends_with("_at") || name.ends_with("_until");
    let mut shape = json!({ "type": kind });
    if may_be_null {
        shape["type"] = json!([kind, "null"]);
    }
    if is_time {
        shape["format"] = "date-time".into();
    }
    shape
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_schemas_share_a_name() {
        let names: BTreeSet<_> = named().iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), named().len());
    }
}
