use zeroize::Zeroizing;

use super::{Digest, Environment, IdKey, LookupId};

/// The text of a whole key. It can be shown once, on purpose, and never be printed by accident:
/// there is no `Display`, `Debug` is redacted, and the memory is cleared on drop.
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The key itself, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// A key just made: the secret for its owner, the rest for the store.
#[derive(Debug)]
pub struct MintedKey {
    pub secret: Secret,
    pub lookup_id: LookupId,
    pub digest: Digest,
}

impl MintedKey {
    /// Makes a key from the operating system's randomness.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn new(environment: &Environment, id_key: &IdKey) -> Result<Self, getrandom::Error> {
        let _ = (environment, id_key);
        todo!()
    }
}
