use std::sync::Arc;

use http::Method;

use super::{CredentialRules, MethodSet, Route};

/// The route map, ready to be asked. Matching cost does not grow with the number of routes.
#[derive(Debug)]
pub struct Policy {
    pub credentials: CredentialRules,
    /// The realm in `WWW-Authenticate`.
    pub realm: Box<str>,
    routes: Vec<Arc<Route>>,
}

/// What a request's method, host and path come to.
#[derive(Clone, Debug)]
pub enum Match<'p> {
    Route(&'p Arc<Route>),
    /// The path is known, the method is not.
    MethodNotAllowed(MethodSet),
    /// A lenient upstream would read this path as one that a different route covers.
    Ambiguous,
    None,
}

/// Two routes that cannot stand beside each other, by their index in the list given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Equal in host, path and a method.
    Equal { first: usize, second: usize },
    /// `second` can never match: `first` takes everything it would.
    Shadowed { first: usize, second: usize },
    /// The two differ only in case or a trailing slash: every request to either is refused.
    Lookalike { first: usize, second: usize },
}

impl Policy {
    /// Builds the matcher.
    ///
    /// # Errors
    /// Every conflict between routes; `Shadowed` and `Lookalike` are warnings to the caller, and
    /// come through [`Policy::warnings`].
    pub fn new(
        routes: Vec<Route>,
        credentials: CredentialRules,
        realm: &str,
    ) -> Result<Self, Vec<Conflict>> {
        let _ = (routes, credentials, realm);
        todo!()
    }

    /// Conflicts that do not make the policy wrong but surely surprise its author.
    pub fn warnings(&self) -> Vec<Conflict> {
        todo!()
    }

    /// The routes in match order.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// The route that `method`, `host` (without port, lower case) and `path` match.
    pub fn find<'p>(&'p self, method: &Method, host: &str, path: &[u8]) -> Match<'p> {
        let _ = (method, host, path);
        todo!()
    }
}
