//! The table again, as an OpenAPI 3.1 document: paths, methods and access come from the
//! operations themselves, errors from [`ApiError`], the rest from [`described`].

mod described;
mod schemas;

use serde_json::{Map, Value, json};

use self::described::{Described, Good};
use super::table::{self, Access, Operation};
use super::wire::ApiError;
use crate::decision::{Denial, Refusal};
use crate::key::Pattern;
use crate::management::wire::Whose;

/// The whole document.
pub fn document() -> Value {
    let mut paths = Map::new();
    for operation in table::operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = describe(&operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gatepost management API",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Users, roles, permissions and API keys. Every change is effective on \
                            the node that answers, and on all others within a second; \
                            with `wait=true` it is answered when it is effective on all.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
            "schemas": schemas::all(),
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let described = described::of(operation.name);
    let mut object = json!({
        "operationId": operation.name,
        "summary": described.summary,
        "tags": [tag(operation.path)],
        "responses": responses(operation, &described),
    });
    let parameters = parameters(operation, &described);
    if !parameters.is_empty() {
        object["parameters"] = parameters.into();
    }
    if let Some(body) = &described.body {
        object["requestBody"] = json!({
            "required": body.required,
            "content": { "application/json": media(body.schema) },
        });
    }
    object["security"] = match operation.access {
        Access::Probe | Access::Public => json!([]),
        Access::Key(_) => json!([{ "key": [] }, { "bearer": [] }]),
    };
    if let Access::Key(permissions) = operation.access {
        object["x-required-permissions"] = json!(permissions);
    }
    object
}

fn tag(path: &str) -> &str {
    let path = path.strip_prefix("/api/v1/").unwrap_or("");
    let subject = path.strip_prefix("admin/").unwrap_or(path);
    match subject.split('/').next().unwrap_or_default() {
        "" => "node",
        subject if path.ends_with("/api-keys") && subject == "users" => "api-keys",
        subject => subject,
    }
}

fn media(schema: &str) -> Value {
    json!({
        "schema": { "$ref": format!("#/components/schemas/{schema}") },
        "examples": { "example": { "value": schemas::example(schema) } },
    })
}

fn parameters(operation: &Operation, described: &Described) -> Vec<Value> {
    let mut parameters = Vec::new();
    for (name, schema) in [("id", "Id"), ("name", described.name_schema)] {
        if operation.path.contains(&format!("{{{name}}}")) {
            parameters.push(parameter(name, "path", schema, true));
        }
    }
    for (name, schema) in &described.query {
        parameters.push(parameter(name, "query", schema, described.needed.contains(name)));
    }
    if changes(operation, described) {
        parameters.push(parameter("wait", "query", "Wait", false));
        parameters.push(parameter("Idempotency-Key", "header", "IdempotencyKey", false));
        if operation.path.contains('{') {
            parameters.push(parameter("If-Match", "header", "ETag", false));
        }
    }
    parameters
}

/// The page for people sends every example that it finds on a parameter: only what must be there
/// has one, so that nobody filters by accident.
fn parameter(name: &str, place: &str, schema: &str, required: bool) -> Value {
    let mut parameter = json!({
        "name": name,
        "in": place,
        "required": required,
        "schema": { "$ref": format!("#/components/schemas/{schema}") },
    });
    if required {
        parameter["examples"] = json!({ "example": { "value": schemas::example(schema) } });
    }
    parameter
}

/// Whether the operation is one that changes something in the store.
fn changes(operation: &Operation, described: &Described) -> bool {
    operation.method != http::Method::GET && !described.without_terms
}

fn responses(operation: &Operation, described: &Described) -> Value {
    let mut responses = Map::new();
    for good in &described.good {
        let (status, mut response) = good_response(operation, good, described);
        if changes(operation, described) {
            response["headers"]["X-Gatepost-Nodes"] =
                string("With `wait`: on how many of the nodes that live it is effective");
        }
        responses.insert(status, response);
    }
    for (status, errors) in group(errors(operation, described)) {
        responses.entry(status).or_insert_with(|| problem(&errors));
    }
    Value::Object(responses)
}

fn string(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn good_response(operation: &Operation, good: &Good, described: &Described) -> (String, Value) {
    let mut response = json!({ "description": good.description });
    for (media_type, schema) in &good.content {
        response["content"][*media_type] = media(schema);
    }
    if good.status == 201 {
        response["headers"]["Location"] = string("Where it is");
    }
    if described.versioned {
        response["headers"]["ETag"] = string("Its version, for If-Match");
    }
    if matches!(operation.access, Access::Key(_)) {
        let limits = "The caller's tightest limit, if there is one";
        response["headers"]["RateLimit"] = string(&format!("{limits}: what is left of it"));
        response["headers"]["RateLimit-Policy"] = string(limits);
    }
    (good.status.to_string(), response)
}

/// What may go wrong, beginning with what every request can meet.
fn errors(operation: &Operation, described: &Described) -> Vec<ApiError> {
    let refused = |denial| ApiError::from(Refusal::new(denial));
    let mut errors = vec![
        refused(Denial::InvalidRequest),
        refused(Denial::UriTooLong),
        refused(Denial::HeadersTooLarge),
        ApiError::internal(""),
    ];
    if operation.access != Access::Probe {
        errors.push(ApiError::MisdirectedRequest);
    }
    if let Access::Key(permissions) = operation.access {
        errors.extend([Denial::MissingKey, Denial::InvalidKey, Denial::KeyExpired].map(refused));
        errors.extend([refused(Denial::AccountLocked), refused(Denial::RateLimited)]);
        errors.push(refused(Denial::QuotaExceeded));
        let store = ApiError::StoreUnavailable { cause: String::new() };
        errors.extend([ApiError::NotBootstrapped, store, refused(Denial::AuthUnavailable)]);
        if !permissions.is_empty() {
            errors.push(refused(Denial::InsufficientPermissions));
        }
    }
    if operation.path.contains('{') || described.may_miss {
        errors.push(ApiError::NotFound);
    }
    if !described.query.is_empty() {
        let reason = "must be a number from 1 to 200".into();
        errors.push(ApiError::InvalidParameter { field: "limit".into(), reason });
    }
    if described.body.is_some() {
        errors.push(ApiError::field("name", "is required"));
        errors.extend([
            ApiError::BodyTimeout,
            ApiError::BodyTooLarge,
            ApiError::UnsupportedMediaType,
        ]);
    }
    if changes(operation, described) {
        let reason = "must be true or false".into();
        errors.push(ApiError::InvalidParameter { field: "wait".into(), reason });
        errors.extend(change_errors());
    }
    if operation.name == "reload_config" {
        let problems = "gatepost.toml:12:1: error: unknown key `requires`".into();
        errors.push(ApiError::InvalidConfig { problems });
    }
    errors
}

fn change_errors() -> Vec<ApiError> {
    let pattern = Pattern::parse("orders:delete").expect("it is a pattern");
    vec![
        ApiError::Conflict { field: "name" },
        ApiError::Protected { reason: "a revoked key cannot be changed" },
        ApiError::Repeated { id: Some(schemas::ID.into()) },
        ApiError::ExceedsOwnPermissions { pattern, whose: Whose::Giver },
        ApiError::PreconditionFailed,
        ApiError::IdempotencyKeyReused,
        // A body is read as a whole for its Idempotency-Key, whether the operation has one or not.
        ApiError::BodyTimeout,
        ApiError::BodyTooLarge,
    ]
}

fn group(errors: Vec<ApiError>) -> Vec<(String, Vec<ApiError>)> {
    let mut groups: Vec<(String, Vec<ApiError>)> = Vec::new();
    for error in errors {
        let status = error.status().as_u16().to_string();
        match groups.iter_mut().find(|(known, _)| *known == status) {
            Some((_, group)) if group.iter().any(|known| known.code() == error.code()) => {}
            Some((_, group)) => group.push(error),
            None => groups.push((status, vec![error])),
        }
    }
    groups
}

fn problem(errors: &[ApiError]) -> Value {
    let examples: Map<_, _> = errors
        .iter()
        .map(|error| (error.code().to_owned(), json!({ "value": error.example() })))
        .collect();
    let codes: Vec<_> = errors.iter().map(|error| format!("`{}`", error.code())).collect();
    json!({
        "description": codes.join(", "),
        "content": { "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "examples": examples,
        } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_operation() -> Vec<(String, Value)> {
        let document = document();
        let paths = document["paths"].as_object().unwrap().clone();
        paths
            .into_iter()
            .flat_map(|(path, item)| {
                let item = item.as_object().unwrap().clone();
                item.into_iter()
                    .map(move |(method, operation)| (format!("{method} {path}"), operation))
            })
            .collect()
    }

    #[test]
    fn every_operation_of_the_table_is_described() {
        assert_eq!(every_operation().len(), table::operations().len());
        for operation in table::operations() {
            assert!(described::is_known(operation.name), "{} has no description", operation.name);
        }
    }

    #[test]
    fn every_status_with_a_body_has_an_example() {
        for (name, operation) in every_operation() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                for media in response["content"].as_object().into_iter().flat_map(|c| c.values()) {
                    let examples = media["examples"].as_object().unwrap();
                    assert!(!examples.is_empty(), "{name} {status}");
                    assert!(examples.values().all(|e| !e["value"].is_null()), "{name} {status}");
                }
            }
        }
    }

    #[test]
    fn only_what_must_be_there_is_filled_in() {
        for (name, operation) in every_operation() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let filled_in = !parameter["examples"].is_null();
                assert_eq!(parameter["required"], filled_in, "{name}: {}", parameter["name"]);
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(!document["components"]["schemas"][name].is_null(), "{name}");
        }
    }

    #[test]
    fn no_example_holds_a_key_that_could_be_one() {
        for part in document().to_string().split("gp_").skip(1) {
            let text = format!("gp_{}", part.split('"').next().unwrap());
            assert!(crate::key::ParsedKey::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
