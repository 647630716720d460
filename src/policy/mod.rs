//! Which route a request matches, and what that route asks for.
//!
//! Precedence, stated once: a host-specific route before one for any host; then segment by
//! segment a literal before `{param}` before `{*rest}`; then a method-specific route before one
//! for any method. Two routes that are equal in all of these are refused when the policy is made.

mod matcher;
mod path;
mod route;

pub use matcher::{Conflict, Match, Policy};
pub use path::{PathFault, PathPattern, PatternError, Segment, check_target};
pub use route::{
    Access, CredentialRules, HostPattern, KeySource, MethodSet, Requirement, Route, RouteOptions,
};
