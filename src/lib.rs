//! Gatepost: API keys, roles, limits and a record of every call, in front of APIs that already
//! exist.
//!
//! The rooms, in layer order. A room imports only rooms of lower layers, and doors never know
//! each other; `tests/layers.rs` reads the source and holds it.
//!
//! | layer | room | what lives there |
//! |---|---|---|
//! | 0 facts | [`request`] | what a decision may see of a request |
//! | | [`key`] | the key format, digests, permissions, what is known of a key |
//! | | [`policy`] | paths, routes, and which route a request matches |
//! | 1 decision | [`decision`] | open → close → verdict; the closed enum of denials |
//! | | [`lockout`] | who fails too often: counts, blocks, locks, in bounded memory |
//! | 2 services | [`config`] | the TOML file, parsed into types that cannot be wrong |
//! | | [`clock`] | the only wall clock |
//! | | [`secret_key`] | the one secret that nodes share |
//! | | [`assertion`] | who is calling, as a JWT that upstreams can check |
//! | | [`metrics`] | every series, made at start |
//! | | [`telemetry`] | log set-up |
//! | | [`store`] | the contract of the stores, Postgres, SQLite, migrations |
//! | | [`directory`] | the cache in front of the store, and its change feed |
//! | | [`usage`] | one record per request: queued, spooled on disk, written in bulk |
//! | | [`limits`] | rates and quotas, and where callers stand with them |
//! | | [`events`] | what an operator should know: log, store, webhooks |
//! | | [`guard`] | the counts of `lockout`, shared with the other nodes |
//! | | [`health`] | whether this node is ready, degraded or draining |
//! | 3 gate | [`gate`] | the order of a decision, once |
//! | 4 doors | [`proxy`] | the data plane, on Pingora |
//! | | [`management`] | the control plane, on axum |
//! | 5 assembly | [`server`] | everything put together, started and stopped |
//! | | [`demo`] | everything at once, with a sample upstream |
//! | | [`cli`] | the command line |
#![forbid(unsafe_code)]

pub mod key;
pub mod policy;
pub mod request;

pub mod decision;
pub mod lockout;

pub mod assertion;
pub mod clock;
pub mod config;
pub mod directory;
pub mod events;
pub mod guard;
pub mod health;
pub mod limits;
pub mod metrics;
pub mod secret_key;
pub mod store;
pub mod telemetry;
pub mod usage;

pub mod gate;

pub mod management;
pub mod proxy;

pub mod cli;
pub mod demo;
pub mod server;
