//! API keys: the format, digests, permissions, and what is known of a key.
//!
//! `gp_<environment>_<lookup id>_<secret><checksum>`: the lookup id is public (10 random base62
//! characters and a MAC of 6), the secret is 43 base62 characters from 256 random bits, the
//! checksum is CRC-32 (IEEE) of every byte before it as six base62 digits.

mod base62;
mod built_in;
mod digest;
mod format;
mod limit;
mod permission;
mod record;
mod secret;

pub use built_in::{BUILT_IN_PERMISSIONS, BUILT_IN_ROLES};
pub use digest::Digest;
pub use format::{
    Environment, IdKey, InvalidEnvironment, InvalidLookupId, LookupId, MAX_KEY, MIN_KEY,
    MalformedKey, PREFIX, ParsedKey,
};
pub use limit::{Quota, QuotaPeriod, Rate};
pub use permission::{Grants, InvalidPermission, Pattern, Permission};
pub use record::{AccountLock, KeyRecord, Owner};
pub use secret::{MintedKey, Secret};
