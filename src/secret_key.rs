//! `SECRET_KEY`: the one secret that all nodes of an installation share.
//!
//! API keys do not depend on it. With the embedded store it is made beside the database on the
//! first run; with Postgres it must be given, since nodes share it.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The least number of bytes, and of different bytes, that can be a secret.
const MIN_LENGTH: usize = 32;
const MIN_VARIETY: usize = 10;

/// Words that stand in documentation instead of a secret.
const EXAMPLES: &[&str] =
    &["changeme", "change-me", "change_me", "example", "your-secret", "your_secret", "secretkey"];

pub struct SecretKey(Zeroizing<Vec<u8>>);

/// What a store keeps to recognise a node with a wrong secret. It tells nothing about it.
pub type Fingerprint = [u8; 16];

/// The secret, and, while a new one is brought in, the one before it.
pub struct SecretKeys {
    pub current: SecretKey,
    pub previous: Option<SecretKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretKeyError {
    #[error("SECRET_KEY has {0} bytes; it needs {MIN_LENGTH} or more")]
    Short(usize),
    #[error("SECRET_KEY is a known example or too regular to be a secret")]
    Guessable,
    #[error("SECRET_KEY is not set, and nodes on Postgres share it")]
    Missing,
    #[error("{path}: {cause}")]
    File { path: String, cause: io::Error },
}

impl SecretKeyError {
    fn at(path: &Path, cause: io::Error) -> Self {
        SecretKeyError::File { path: path.display().to_string(), cause }
    }

    pub fn hint(&self) -> &'static str {
        match self {
            SecretKeyError::File { .. } => "the file must be readable by the gateway alone",
            _ => "make one with `openssl rand -hex 32`, and give the same one to every node",
        }
    }
}

impl SecretKey {
    /// # Errors
    /// The text is too short, or surely not random.
    pub fn parse(text: &str) -> Result<Self, SecretKeyError> {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.len() < MIN_LENGTH {
            return Err(SecretKeyError::Short(text.len()));
        }
        let lower = text.to_ascii_lowercase();
        let variety = text.bytes().collect::<BTreeSet<_>>().len();
        if variety < MIN_VARIETY || EXAMPLES.iter().any(|example| lower.contains(example)) {
            return Err(SecretKeyError::Guessable);
        }
        Ok(Self(Zeroizing::new(text.as_bytes().to_vec())))
    }

    /// Reads the secret kept in `path`, or makes one there.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretKeyError> {
        match Self::create(path) {
            Err(SecretKeyError::File { cause, .. })
                if cause.kind() == io::ErrorKind::AlreadyExists =>
            {
                Self::load(path)
            }
            made => made,
        }
    }

    pub fn load(path: &Path) -> Result<Self, SecretKeyError> {
        let mut text = Zeroizing::new(String::new());
        std::fs::File::open(path)
            .and_then(|mut file| file.read_to_string(&mut text))
            .map_err(|cause| SecretKeyError::at(path, cause))?;
        Self::parse(&text)
    }

    /// Makes a new one in `path`, which must not be there, readable by its owner alone.
    pub fn create(path: &Path) -> Result<Self, SecretKeyError> {
        let mut random = Zeroizing::new([0u8; 32]);
        let at = |cause| SecretKeyError::at(path, cause);
        getrandom::fill(&mut *random).map_err(|e| at(io::Error::other(e)))?;
        let text = Zeroizing::new(hex::encode(*random));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(at)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at)?;
        Self::parse(&text)
    }

    pub fn fingerprint(&self) -> Fingerprint {
        let mut fingerprint = [0u8; 16];
        self.derive("gatepost/fingerprint/v1", &mut fingerprint);
        fingerprint
    }

    /// What the rows of the audit log are chained under.
    pub fn chain_key(&self) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0u8; 32]);
        self.derive("gatepost/audit-chain/v1", &mut *key);
        key
    }

    /// What the key that signs assertions is made of.
    pub fn assertion_seed(&self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0u8; 32]);
        self.derive("gatepost/assertion/v1", &mut *seed);
        seed
    }

    /// A key for one purpose (HKDF-SHA256, RFC 5869), at most 8,160 bytes.
    fn derive(&self, purpose: &str, into: &mut [u8]) {
        let derived = Hkdf::<Sha256>::new(None, &self.0).expand(purpose.as_bytes(), into);
        debug_assert!(derived.is_ok(), "HKDF gives 255 blocks and less is asked for");
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_regular_and_example_secrets_are_refused() {
        assert!(matches!(SecretKey::parse("short"), Err(SecretKeyError::Short(5))));
        let regular = "a".repeat(64);
        assert!(matches!(SecretKey::parse(&regular), Err(SecretKeyError::Guessable)));
        let example = "changeme-0123456789-abcdefghijklmnop";
        assert!(matches!(SecretKey::parse(example), Err(SecretKeyError::Guessable)));
    }

    #[test]
    fn a_made_secret_is_private_and_found_again() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.key");
        let made = SecretKey::load_or_create(&path).unwrap();
        let found = SecretKey::load_or_create(&path).unwrap();
        assert_eq!(made.fingerprint(), found.fingerprint());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
