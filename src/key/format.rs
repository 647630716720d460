use std::fmt;

/// What every key of ours starts with.
pub const PREFIX: &str = "gp_";

/// The environment part of a key: `live`, `test`, … or any `[a-z0-9]{2,12}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Environment(Box<str>);

impl Environment {
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (2..=12).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        fits.then(|| Self(text.into()))
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

/// The public part of a key, by which it is found: ten random characters and a MAC of six.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupId([u8; 16]);

impl LookupId {
    /// Sixteen base62 characters; whether we minted them is the id key's question
    /// ([`IdKey::minted`]).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = text.try_into().ok()?;
        bytes.iter().all(u8::is_ascii_alphanumeric).then_some(Self(bytes))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
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
pub struct IdKey([u8; 32]);

impl IdKey {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this instance minted `id`: a keyed BLAKE3 of its first ten characters, truncated.
    pub fn minted(&self, id: &LookupId) -> bool {
        let _ = id;
        todo!()
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
        let _ = key;
        todo!()
    }
}
