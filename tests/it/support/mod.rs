//! What the stories are told with.

pub mod disk;
pub mod forge;
pub mod gateway;
pub mod load;
pub mod postgres;
pub mod redis;
pub mod relay;
pub mod upstream;

use gatepost::secret_key::{SecretKey, SecretKeys};
use gatepost::store::ChainKeys;

/// Of the `SECRET_KEY` that most tests share.
pub fn chain_keys() -> ChainKeys {
    keys_of(gateway::SECRET_KEY, None)
}

/// Of one secret, and the one before it.
pub fn keys_of(current: &str, previous: Option<&str>) -> ChainKeys {
    let parse = |text| SecretKey::parse(text).expect("a secret");
    let secrets = SecretKeys { current: parse(current), previous: previous.map(parse) };
    ChainKeys::from(&secrets)
}
