//! The whole URL space, on one screen. From this table come the router and the policy that the
//! gate judges by, so that no operation can exist without an access.

use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use self::Access::{Key, Probe, Public};
use super::api::{
    documents, keys, logs, permissions, profile, roles, security, status, system, usage, users,
};
use super::plane::Plane;
use super::wire::ApiError;
use crate::decision::Admission;
use crate::key::Permission;
use crate::policy::{
    self, CredentialRules, MethodSet, PathPattern, Policy, Requirement, Route, RouteOptions,
};

/// One operation: what it is called, where it is, who may call it.
pub(super) struct Operation {
    pub name: &'static str,
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    handler: MethodRouter<Plane>,
}

/// Who may call an operation. There is no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody, under any name of this host: load balancers and scrapers go by address.
    Probe,
    /// Anybody.
    Public,
    /// A key with all of these permissions, or `admin`. None named: any valid key.
    Key(&'static [&'static str]),
}

#[rustfmt::skip]
pub(super) fn operations() -> Vec<Operation> {
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    vec![
        row(&get,    "/health",  "health",  Probe,  status::live),
        row(&get,    "/livez",   "livez",   Probe,  status::live),
        row(&get,    "/readyz",  "readyz",  Probe,  status::ready),
        row(&get,    "/metrics", "metrics", Probe,  status::metrics),
        row(&get,    "/status",  "status",  Public, status::status),
        row(&get,    "/.well-known/jwks.json", "jwks", Public, documents::key_set),
        row(&get,    "/openapi.json", "openapi",   Public, documents::document),
        row(&get,    "/docs",         "docs",      Public, documents::page),
        row(&get,    "/docs/{name}",  "docs_file", Public, documents::file),

        row(&get,    "/api/v1/profile",       "read_profile",   Key(&[]),                   profile::read),
        row(&get,    "/api/v1/usage",         "read_own_usage", Key(&[]),                   usage::own),
        row(&get,    "/api/v1/api-keys",      "list_own_keys",  Key(&["api_keys:read"]),    keys::own::list_all),
        row(&post,   "/api/v1/api-keys",      "create_own_key", Key(&["api_keys:create"]),  keys::own::create),
        row(&get,    "/api/v1/api-keys/{id}", "read_own_key",   Key(&["api_keys:read"]),    keys::own::read),
        row(&patch,  "/api/v1/api-keys/{id}", "update_own_key", Key(&["api_keys:rotate"]),  keys::own::update),
        row(&delete, "/api/v1/api-keys/{id}", "revoke_own_key", Key(&["api_keys:revoke"]),  keys::own::revoke),
        row(&post,   "/api/v1/api-keys/{id}/rotate", "rotate_own_key", Key(&["api_keys:rotate"]), keys::own::rotate),

        row(&get,    "/api/v1/admin/users",                   "list_users",  Key(&["users:read"]),         users::list_all),
        row(&post,   "/api/v1/admin/users",                   "create_user", Key(&["users:create"]),       users::create),
        row(&get,    "/api/v1/admin/users/{id}",              "read_user",   Key(&["users:read"]),         users::read),
        row(&patch,  "/api/v1/admin/users/{id}",              "update_user", Key(&["users:update"]),       users::update),
        row(&delete, "/api/v1/admin/users/{id}",              "delete_user", Key(&["users:delete"]),       users::delete),
        row(&post,   "/api/v1/admin/users/{id}/lock",         "lock_user",   Key(&["users:update"]),       users::lock),
        row(&post,   "/api/v1/admin/users/{id}/unlock",       "unlock_user", Key(&["users:update"]),       users::unlock),
        row(&post,   "/api/v1/admin/users/{id}/roles",        "add_roles",   Key(&["permissions:assign"]), users::add_roles),
        row(&delete, "/api/v1/admin/users/{id}/roles/{name}", "remove_role", Key(&["permissions:revoke"]), users::remove_role),

        row(&get,    "/api/v1/admin/users/{id}/api-keys", "list_user_keys",  Key(&["api_keys:read", "users:read"]),     keys::admin::list_of_user),
        row(&post,   "/api/v1/admin/users/{id}/api-keys", "create_user_key", Key(&["api_keys:create", "users:update"]), keys::admin::create_for_user),
        row(&get,    "/api/v1/admin/api-keys",            "list_keys",       Key(&["api_keys:read", "users:read"]),     keys::admin::list_all),
        row(&get,    "/api/v1/admin/api-keys/{id}",       "read_key",        Key(&["api_keys:read", "users:read"]),     keys::admin::read),
        row(&patch,  "/api/v1/admin/api-keys/{id}",       "update_key",      Key(&["api_keys:rotate", "users:update"]), keys::admin::update),
        row(&delete, "/api/v1/admin/api-keys/{id}",       "revoke_key",      Key(&["api_keys:revoke", "users:update"]), keys::admin::revoke),
        row(&post,   "/api/v1/admin/api-keys/{id}/rotate", "rotate_key",     Key(&["api_keys:rotate", "users:update"]), keys::admin::rotate),
        row(&post,   "/api/v1/admin/api-keys/import",     "import_key",      Key(&["api_keys:create", "users:update"]), keys::import::import),
        row(&post,   "/api/v1/admin/api-keys/verify",     "verify_key",      Key(&["api_keys:read", "users:read"]),     keys::verify::verify),

        row(&get,    "/api/v1/admin/api-keys/{id}/unused-permissions", "unused_permissions", Key(&["api_keys:read", "users:read"]), keys::unused::read),

        row(&get,    "/api/v1/admin/roles",              "list_roles",        Key(&["permissions:read"]), roles::list_all),
        row(&post,   "/api/v1/admin/roles",              "create_role",       Key(&["roles:manage"]),     roles::create),
        row(&get,    "/api/v1/admin/roles/{name}",       "read_role",         Key(&["permissions:read"]), roles::read),
        row(&patch,  "/api/v1/admin/roles/{name}",       "update_role",       Key(&["roles:manage"]),     roles::update),
        row(&delete, "/api/v1/admin/roles/{name}",       "delete_role",       Key(&["roles:manage"]),     roles::delete),
        row(&get,    "/api/v1/admin/config",      "read_config", Key(&["system:configure"]),   system::config),
        row(&post,   "/api/v1/admin/config/reload", "reload_config", Key(&["system:reload"]), system::reload),
        row(&get,    "/api/v1/admin/diagnostics", "diagnostics", Key(&["system:diagnostics"]), system::diagnostics),

        row(&get,    "/api/v1/admin/permissions",        "list_permissions",  Key(&["permissions:read"]), permissions::list_all),
        row(&post,   "/api/v1/admin/permissions",        "create_permission", Key(&["roles:manage"]),     permissions::create),
        row(&get,    "/api/v1/admin/permissions/{name}", "read_permission",   Key(&["permissions:read"]), permissions::read),
        row(&delete, "/api/v1/admin/permissions/{name}", "delete_permission", Key(&["roles:manage"]),     permissions::delete),

        row(&get,    "/api/v1/admin/analytics",        "read_analytics",   Key(&["analytics:read"]),   usage::analytics),
        row(&get,    "/api/v1/admin/analytics/export", "export_analytics", Key(&["analytics:export"]), usage::export_analytics),
        row(&get,    "/api/v1/admin/logs",             "list_logs",        Key(&["logs:read"]),        logs::list),
        row(&get,    "/api/v1/admin/logs/export",      "export_logs",      Key(&["logs:export"]),      logs::export),
        row(&get,    "/api/v1/admin/blocks",          "list_blocks",     Key(&["system:configure"]), security::blocks::list_all),
        row(&delete, "/api/v1/admin/blocks/{id}",     "lift_block",      Key(&["system:configure"]), security::blocks::lift),
        row(&get,    "/api/v1/admin/failed-attempts", "failed_attempts", Key(&["logs:read"]),        security::blocks::attempts),
        row(&get,    "/api/v1/admin/events",          "follow_events",   Key(&["logs:read"]),        security::live::follow),
    ]
}

fn row<H, T>(
    method: &Method,
    path: &'static str,
    name: &'static str,
    access: Access,
    handler: H,
) -> Operation
where
    H: Handler<T, Plane>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).expect("the router knows all four methods");
    Operation { name, method: method.clone(), path, access, handler: on(filter, handler) }
}

impl Operation {
    /// The handler, which answers only for an admission to this very operation: should the
    /// policy's matcher and the router ever read a path differently, nobody is served.
    pub(super) fn handler(self) -> MethodRouter<Plane> {
        let name = route_name(self.name);
        self.handler.layer(from_fn(move |request: Request, next: Next| {
            let admitted = request.extensions().get::<Admission>();
            let is_ours = admitted.is_some_and(|admission| *admission.route().name == *name);
            async move { if is_ours { next.run(request).await } else { elsewhere() } }
        }))
    }

    fn route(&self) -> Route {
        let access = match self.access {
            Access::Probe | Access::Public => policy::Access::Public,
            Access::Key(permissions) => require(permissions),
        };
        self.route_with(access)
    }

    fn route_with(&self, access: policy::Access) -> Route {
        Route {
            name: route_name(self.name).into(),
            path: PathPattern::parse(self.path).expect("the table's paths parse"),
            methods: Some(MethodSet::new([self.method.clone()])),
            host: None,
            access,
            upstream: "management".into(),
            options: RouteOptions { admin_suffices: true, ..RouteOptions::default() },
        }
    }
}

fn elsewhere() -> Response {
    ApiError::internal("the policy and the router disagree about a path").into_response()
}

fn require(permissions: &[&str]) -> policy::Access {
    let parse = |text: &&str| Permission::parse(text).expect("the table's permissions parse");
    policy::Access::Require(Requirement::All(permissions.iter().map(parse).collect()))
}

/// What the control plane asks of its callers.
pub(super) fn policy(realm: &str) -> Policy {
    build(operations().iter().map(Operation::route).collect(), realm)
}

/// `/status` again, as its detailed answer would have it.
pub(super) fn diagnostics_policy(realm: &str) -> Policy {
    let status = operations().into_iter().filter(|operation| operation.name == "status");
    let detailed = |operation: Operation| operation.route_with(require(&["system:diagnostics"]));
    build(status.map(detailed).collect(), realm)
}

fn build(routes: Vec<Route>, realm: &str) -> Policy {
    Policy::new(routes, CredentialRules::default(), realm)
        .expect("no two operations of the table share a path and a method")
}

/// The paths that answer under any name of this host.
pub(super) fn probes() -> Vec<&'static str> {
    let probes = operations().into_iter().filter(|operation| operation.access == Probe);
    probes.map(|operation| operation.path).collect()
}

/// The names under which operations are counted and recorded.
pub fn route_names() -> Vec<String> {
    operations().iter().map(|operation| route_name(operation.name)).collect()
}

/// Apart from the names of the operator's own routes.
fn route_name(operation: &str) -> String {
    format!("management:{operation}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::BUILT_IN_PERMISSIONS;
    use crate::policy::Match;

    #[test]
    fn these_and_no_others_answer_without_a_key() {
        let open = operations().into_iter().filter(|o| !matches!(o.access, Key(_)));
        let open: Vec<_> = open.map(|o| (o.method.to_string(), o.path)).collect();
        let get = |path| ("GET".to_owned(), path);
        let documents = ["/.well-known/jwks.json", "/openapi.json", "/docs", "/docs/{name}"];
        let probes = ["/health", "/livez", "/readyz", "/metrics", "/status"];
        assert_eq!(
            open,
            [&probes[..], &documents[..]].concat().into_iter().map(get).collect::<Vec<_>>()
        );
    }

    #[test]
    fn any_valid_key_opens_what_is_its_own_alone() {
        let any = operations().into_iter().filter(|o| o.access == Key(&[]));
        assert_eq!(any.map(|o| o.path).collect::<Vec<_>>(), ["/api/v1/profile", "/api/v1/usage"]);
    }

    #[test]
    fn every_permission_asked_for_is_built_in() {
        for operation in operations() {
            let Key(permissions) = operation.access else { continue };
            for permission in permissions {
                let known = BUILT_IN_PERMISSIONS.iter().any(|(name, ..)| name == permission);
                assert!(known, "{}: {permission}", operation.name);
            }
        }
    }

    #[test]
    fn keys_of_others_need_a_permission_on_users_too() {
        for operation in operations()
            .iter()
            .filter(|o| o.path.contains("/admin/") && o.path.contains("api-keys"))
        {
            let Key(permissions) = operation.access else { panic!("{} is open", operation.name) };
            assert!(permissions.iter().any(|p| p.starts_with("users:")), "{}", operation.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names = route_names();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_policy_finds_every_operation_under_its_own_name() {
        let policy = policy("test");
        for operation in operations() {
            let path = operation
                .path
                .replace("{id}", "0192f3a0-0000-7000-8000-0000000000ab")
                .replace("{name}", "orders");
            match policy.find(&operation.method, "localhost", path.as_bytes()) {
                Match::Route(route) => assert_eq!(*route.name, *route_name(operation.name)),
                other => panic!("{path}: {other:?}"),
            }
        }
    }
}
