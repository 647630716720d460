//! The whole thing: a client, the real program, a real upstream, both stores.

mod assertion;
mod cors;
mod descriptors;
mod drain;
mod evasion;
mod exceptions;
mod first_requests;
mod grpc;
mod hygiene;
mod key_states;
mod limits;
mod outage;
mod paths;
mod quotas;
mod rates;
mod reload;
mod revocation;
mod shadow;
mod shared_rates;
mod streaming;
mod usage;
