//! The sections of the file, one reader each. All keys of a section are read before anything is
//! given up, so that every mistake in it is told.

mod conflicts;
mod cors;
pub(super) mod later;
pub(super) mod limits;
pub(super) mod listeners;
pub(super) mod lockout;
mod options;
pub(super) mod routes;
pub(super) mod services;
pub(super) mod store;
pub(super) mod tests;
pub(super) mod upstreams;
