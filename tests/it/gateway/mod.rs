//! The whole thing: a client, the real program, a real upstream, both stores.

mod drain;
mod evasion;
mod first_requests;
mod hygiene;
mod key_states;
mod limits;
mod outage;
mod paths;
mod quotas;
mod rates;
mod reload;
mod revocation;
mod shared_rates;
mod streaming;
mod usage;
