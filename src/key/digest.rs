use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// SHA-256 of a whole key: what the store keeps as `key_hash`.
///
/// Equality takes the same time wherever the first difference is.
#[derive(Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

/// A digest is not a secret, but a log has no use for it: four bytes tell two apart.
impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({}…)", hex::encode(&self.0[..4]))
    }
}
