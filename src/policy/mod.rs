//! Which route a request matches, and what that route asks for.
//!
//! Precedence, stated once: a host-specific route before one for any host; then segment by
//! segment a literal before `{param}` before `{*rest}`; then a method-specific route before one
//! for any method. Two routes that are equal in all of these are refused when the policy is made.
//!
//! The first path in that order that matches decides alone. If none of its routes takes the
//! method, the request is refused: no wider path (`{*rest}`, another host) is tried behind it.

mod conflict;
mod cors;
mod fold;
mod host;
mod matcher;
mod method;
mod path;
mod reading;
mod route;
mod target;
mod trie;

pub use conflict::Conflict;
pub use cors::{Cors, Origins};
pub use host::{HostPattern, host_of};
pub use matcher::{Match, Policy};
pub use method::MethodSet;
pub use path::{PathPattern, PatternError, Segment};
pub use route::{Access, CredentialRules, KeySource, Requirement, Route, RouteOptions, Timeouts};
pub use target::{Exceptions, PathFault, check_target};
