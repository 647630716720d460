use zeroize::Zeroizing;

use super::base62;
use super::format::{PREFIX, SECRET, checksum};
use super::{Digest, Environment, IdKey, LookupId};

/// The text of a whole key. It can be shown once, on purpose, and never be printed by accident:
/// there is no `Display`, `Debug` is redacted, and the memory is cleared on drop.
pub struct Secret(Zeroizing<String>);

impl Secret {
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
        let lookup_id = id_key.mint(&random_characters()?);
        let mut number = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *number)?;
        let secret = Secret(assemble(environment, &lookup_id, &mut number));
        let digest = Digest::of(secret.reveal().as_bytes());
        Ok(Self { secret, lookup_id, digest })
    }
}

/// Ten base62 characters, none likelier than another: bytes that would wrap around are thrown
/// away. 64 bytes yield ten all but always; a second draw is a matter of principle.
fn random_characters() -> Result<[u8; 10], getrandom::Error> {
    const FAIR: u8 = 62 * 4;
    loop {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes)?;
        let mut fair = bytes.iter().filter(|&&byte| byte < FAIR);
        let mut characters = [0; 10];
        let filled = characters
            .iter_mut()
            .zip(&mut fair)
            .map(|(character, byte)| *character = base62::DIGITS[usize::from(byte % 62)])
            .count();
        if filled == characters.len() {
            return Ok(characters);
        }
    }
}

/// The text of the key. It is given its room at once, so that growing leaves no copy behind.
fn assemble(environment: &Environment, id: &LookupId, number: &mut [u8; 32]) -> Zeroizing<String> {
    let mut digits = Zeroizing::new([0; SECRET]);
    base62::write_256_bits(number, &mut digits);
    let mut key = Zeroizing::new(String::with_capacity(96));
    for part in [PREFIX, environment.as_str(), "_", id.as_str(), "_"] {
        key.push_str(part);
    }
    key.extend(digits.iter().map(|&digit| char::from(digit)));
    let sum = checksum(key.as_bytes());
    key.extend(sum.map(char::from));
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ParsedKey;

    #[test]
    fn a_minted_key_is_one_of_ours() {
        let id_key = IdKey::from_bytes([7; 32]);
        for name in ["live", "eu", "abcdefghijkl"] {
            let environment = Environment::parse(name).unwrap();
            let minted = MintedKey::new(&environment, &id_key).unwrap();
            let parsed = ParsedKey::parse(minted.secret.reveal().as_bytes()).unwrap();
            assert_eq!(parsed.environment, name);
            assert_eq!(parsed.lookup_id, minted.lookup_id);
            assert!(id_key.minted(&minted.lookup_id));
            assert_eq!(minted.digest, Digest::of(minted.secret.reveal().as_bytes()));
        }
    }

    #[test]
    fn no_two_keys_are_alike() {
        let id_key = IdKey::from_bytes([7; 32]);
        let keys: std::collections::HashSet<String> = (0..500)
            .map(|_| MintedKey::new(&Environment::default(), &id_key).unwrap())
            .map(|minted| minted.secret.reveal().to_owned())
            .collect();
        assert_eq!(keys.len(), 500);
    }

    #[test]
    fn debug_shows_no_secret() {
        let minted = MintedKey::new(&Environment::default(), &IdKey::from_bytes([7; 32])).unwrap();
        let shown = format!("{minted:?} {:?}", IdKey::from_bytes([7; 32]));
        let secret = &minted.secret.reveal()[26..];
        assert!(!shown.contains(secret) && shown.contains("[redacted]"), "{shown}");
    }
}
