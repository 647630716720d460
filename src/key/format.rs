use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::base62;

/// What every key of ours starts with.
pub const PREFIX: &str = "gp_";

const ENVIRONMENT: std::ops::RangeInclusive<usize> = 2..=12;
const RANDOM: usize = 10;
const MAC: usize = 6;
const ID: usize = RANDOM + MAC;
pub(super) const SECRET: usize = 43;
const CHECKSUM: usize = 6;
/// A whole key but its environment, both underscores counted.
const FIXED: usize = PREFIX.len() + 1 + ID + 1 + SECRET + CHECKSUM;

/// The lengths that a key can have.
pub const MIN_KEY: usize = FIXED + 2;
pub const MAX_KEY: usize = FIXED + 12;

/// The environment part of a key: `live`, `test`, … or any `[a-z0-9]{2,12}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Environment(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an environment is 2 to 12 characters of a-z and 0-9")]
pub struct InvalidEnvironment;

impl Environment {
    pub fn parse(text: &str) -> Option<Self> {
        is_environment(text.as_bytes()).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self("live".into())
    }
}

impl TryFrom<String> for Environment {
    type Error = InvalidEnvironment;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or(InvalidEnvironment)
    }
}

impl From<Environment> for String {
    fn from(environment: Environment) -> Self {
        environment.0.into()
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_environment(text: &[u8]) -> bool {
    ENVIRONMENT.contains(&text.len())
        && text.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The public part of a key, by which it is found: ten random characters and a MAC of six.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LookupId([u8; ID]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lookup id is 16 characters of 0-9, A-Z and a-z")]
pub struct InvalidLookupId;

impl LookupId {
    /// Sixteen base62 characters; whether we minted them is the id key's question
    /// ([`IdKey::minted`]).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let bytes: [u8; ID] = text.try_into().ok()?;
        base62::is_base62(&bytes).then_some(Self(bytes))
    }

    pub fn as_str(&self) -> &str {
        // Only base62 gets in, which is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TryFrom<String> for LookupId {
    type Error = InvalidLookupId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(text.as_bytes()).ok_or(InvalidLookupId)
    }
}

impl From<LookupId> for String {
    fn from(id: LookupId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for LookupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LookupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The instance's key for the MAC inside lookup ids. It guards nothing but the store: an id that
/// we did not mint dies without a look-up.
#[derive(Clone)]
pub struct IdKey(Zeroizing<[u8; 32]>);

impl IdKey {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this instance minted `id`: a keyed BLAKE3 of its first ten characters, truncated.
    pub fn minted(&self, id: &LookupId) -> bool {
        let (random, mac) = id.0.split_at(RANDOM);
        self.mac(random).ct_eq(mac).into()
    }

    /// The id with these ten random base62 characters.
    pub(super) fn mint(&self, random: &[u8; RANDOM]) -> LookupId {
        let mut id = [0; ID];
        id[..RANDOM].copy_from_slice(random);
        id[RANDOM..].copy_from_slice(&self.mac(random));
        LookupId(id)
    }

    /// Six digits of 64 bits: what the modulus prefers is one part in 2²⁸.
    fn mac(&self, random: &[u8]) -> [u8; MAC] {
        let hash = blake3::keyed_hash(&self.0, random);
        let (head, _) = hash.as_bytes().split_at(8);
        base62::six_digits(head.iter().fold(0, |n, &byte| n << 8 | u64::from(byte)))
    }
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey([redacted])")
    }
}

/// A credential that has our shape and a right checksum.
#[derive(Clone, Copy, Debug)]
pub struct ParsedKey<'a> {
    pub environment: &'a str,
    pub lookup_id: LookupId,
}

/// Why a credential is not a key of ours. It never holds the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKey {
    #[error("the key does not have the shape gp_<environment>_<id>_<secret>")]
    Shape,
    #[error("the key's checksum does not match: it is mistyped or cut short")]
    Checksum,
}

impl<'a> ParsedKey<'a> {
    pub fn parse(key: &'a [u8]) -> Result<Self, MalformedKey> {
        let parsed = Self::parse_shape(key).ok_or(MalformedKey::Shape)?;
        let (signed, sum) = key.split_at(key.len() - CHECKSUM);
        if checksum(signed) != *sum {
            return Err(MalformedKey::Checksum);
        }
        Ok(parsed)
    }

    /// Everything but the environment has a fixed length, so every part has one possible place.
    fn parse_shape(key: &'a [u8]) -> Option<Self> {
        let environment_len = key.len().checked_sub(FIXED)?;
        let rest = key.strip_prefix(PREFIX.as_bytes())?;
        let (environment, rest) = rest.split_at_checked(environment_len)?;
        let (id, rest) = rest.strip_prefix(b"_")?.split_at_checked(ID)?;
        let secret = rest.strip_prefix(b"_")?;
        if !is_environment(environment) || !base62::is_base62(secret) {
            return None;
        }
        Some(Self {
            environment: std::str::from_utf8(environment).ok()?,
            lookup_id: LookupId::parse(id)?,
        })
    }
}

/// What a key ends with: CRC-32 (IEEE) of every byte before it.
pub(super) fn checksum(signed: &[u8]) -> [u8; CHECKSUM] {
    base62::six_digits(u64::from(crc32fast::hash(signed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fixed for good: keys in the field have this shape.
    const KEY: &str = "gp_live_0123456789ABCDEF_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ2mJNp9";

    fn with_checksum(signed: &str) -> String {
        format!("{signed}{}", std::str::from_utf8(&checksum(signed.as_bytes())).unwrap())
    }

    #[test]
    fn the_checksum_is_crc32_ieee() {
        // The check value of the CRC catalogue: crc32("123456789") = 0xcbf43926.
        assert_eq!(checksum(b"123456789"), base62::six_digits(0xcbf4_3926));
    }

    #[test]
    fn a_key_in_the_field_parses() {
        let key = with_checksum(&KEY[..KEY.len() - CHECKSUM]);
        assert_eq!(key, KEY);
        let parsed = ParsedKey::parse(KEY.as_bytes()).unwrap();
        assert_eq!(parsed.environment, "live");
        assert_eq!(parsed.lookup_id.as_str(), "0123456789ABCDEF");
    }

    #[test]
    fn a_wrong_shape_is_told_from_a_wrong_checksum() {
        let body = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";
        for (environment, id) in [
            ("l", "0123456789ABCDEF"),
            ("thirteenchars", "0123456789ABCDEF"),
            ("LIVE", "0123456789ABCDEF"),
            ("li_e", "0123456789ABCDEF"),
            ("live", "0123456789ABCDE_"),
            ("live", "0123456789ABCDEFG"),
        ] {
            let key = with_checksum(&format!("gp_{environment}_{id}_{body}"));
            assert_eq!(ParsedKey::parse(key.as_bytes()).unwrap_err(), MalformedKey::Shape, "{key}");
        }
        let mistyped = KEY.replacen("abc", "abd", 1);
        assert_eq!(ParsedKey::parse(mistyped.as_bytes()).unwrap_err(), MalformedKey::Checksum);
        assert_eq!(ParsedKey::parse(b"").unwrap_err(), MalformedKey::Shape);
        assert_eq!(ParsedKey::parse(&KEY.as_bytes()[..40]).unwrap_err(), MalformedKey::Shape);
    }

    #[test]
    fn an_id_is_minted_by_the_instance_that_has_its_key() {
        let (ours, theirs) = (IdKey::from_bytes([1; 32]), IdKey::from_bytes([2; 32]));
        let id = ours.mint(b"0123456789");
        assert!(ours.minted(&id));
        assert!(!theirs.minted(&id));
        assert!(id.as_str().starts_with("0123456789"));
    }

    #[test]
    fn the_mac_of_an_id_never_changes() {
        // Ids are kept for years: a change here would turn every issued key away.
        let id = IdKey::from_bytes(*b"an id key of exactly 32 bytes ..").mint(b"0123456789");
        assert_eq!(id.as_str(), "01234567891uebEB");
    }

    #[test]
    fn ids_and_environments_travel_as_strings() {
        let id: LookupId = serde_json::from_str("\"0123456789ABCDEF\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"0123456789ABCDEF\"");
        assert!(serde_json::from_str::<LookupId>("\"short\"").is_err());
        assert!(serde_json::from_str::<Environment>("\"LIVE\"").is_err());
        assert_eq!(serde_json::from_str::<Environment>("\"eu1\"").unwrap().as_str(), "eu1");
    }
}
