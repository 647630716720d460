//! The decision, as an attacker meets it: pure, so that it can be tried out to exhaustion.

mod credentials;
mod fixture;
mod keys;
mod matrix;
mod permissions;
mod problems;
mod readings;
mod route_model;
mod routes;
mod strip;
mod targets;
mod threats;
