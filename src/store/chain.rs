//! The chain of the audit log: the MAC of a row covers the row and the MAC before it, under a key
//! that is not in the database. Whoever changes, removes or moves a row breaks it there.
//!
//! What a chain cannot tell alone is that its end was cut off: for that its head goes to the log.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{AuditEntry, AuditRow, StoreError};
use crate::secret_key::{Fingerprint, SecretKey, SecretKeys};

/// The MAC of a row. That of the newest one stands for the whole log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainMac([u8; 32]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a head is 64 hexadecimal digits")]
pub struct InvalidMac;

impl ChainMac {
    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for ChainMac {
    type Err = InvalidMac;

    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidMac)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for ChainMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ChainMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The newest row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    pub seq: u64,
    pub mac: ChainMac,
}

/// Where the chain of a store begins, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainOrigin {
    pub instance: Uuid,
    /// Rows up to this one are older than the chain.
    pub after: u64,
    /// Of the `SECRET_KEY` that the nodes share; `None` before the first one wrote.
    pub fingerprint: Option<Fingerprint>,
}

/// What a `SECRET_KEY` is to a store: a fingerprint to know it by, and the key of the chain.
struct Generation {
    fingerprint: Fingerprint,
    key: Zeroizing<[u8; 32]>,
}

impl From<&SecretKey> for Generation {
    fn from(secret: &SecretKey) -> Self {
        Self { fingerprint: secret.fingerprint(), key: secret.chain_key() }
    }
}

/// The keys that this process may write the chain with.
pub struct ChainKeys {
    current: Generation,
    previous: Option<Generation>,
}

impl From<&SecretKeys> for ChainKeys {
    fn from(secrets: &SecretKeys) -> Self {
        Self {
            current: Generation::from(&secrets.current),
            previous: secrets.previous.as_ref().map(Generation::from),
        }
    }
}

impl ChainKeys {
    /// The fingerprint that a store without one is to keep.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.current.fingerprint
    }

    /// The key of the generation that the store is at: the current one, or, until somebody
    /// rotates, the one before.
    fn of(&self, fingerprint: Fingerprint) -> Result<&Generation, StoreError> {
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|generation| generation.fingerprint == fingerprint)
            .ok_or_else(StoreError::other_secret)
    }

    pub(super) fn accept(&self, origin: &ChainOrigin) -> Result<(), StoreError> {
        origin.fingerprint.map_or(Ok(()), |fingerprint| self.of(fingerprint).map(drop))
    }

    /// The chain from its first row on.
    ///
    /// # Errors
    /// The store belongs to nodes with another `SECRET_KEY`.
    pub fn begin(&self, origin: &ChainOrigin) -> Result<Chain<'_>, StoreError> {
        let generation = self.of(origin.fingerprint.unwrap_or(self.current.fingerprint))?;
        Ok(Chain::begin(generation, origin))
    }

    /// The chain after its newest row, to go on from.
    pub(super) fn resume(
        &self,
        origin: &ChainOrigin,
        head: Option<ChainHead>,
    ) -> Result<Chain<'_>, StoreError> {
        let chain = self.begin(origin)?;
        Ok(match head.filter(|head| head.seq > origin.after) {
            Some(ChainHead { seq, mac }) => Chain { seq, mac, ..chain },
            None => chain,
        })
    }

    /// The same chain twice, for a rotation: as it is, and as it is to become.
    ///
    /// # Errors
    /// The store is not at the previous generation.
    pub(super) fn to_rotate(
        &self,
        origin: &ChainOrigin,
    ) -> Result<(Chain<'_>, Chain<'_>), StoreError> {
        if origin.fingerprint == Some(self.current.fingerprint) {
            return Err(StoreError::Protected("the store has this SECRET_KEY already"));
        }
        Ok((self.begin(origin)?, Chain::begin(&self.current, origin)))
    }
}

/// A walk along the chain: the row that it stands at, and the MAC of that row.
pub struct Chain<'k> {
    generation: &'k Generation,
    seq: u64,
    mac: ChainMac,
}

impl<'k> Chain<'k> {
    /// Before the first row stands a MAC of the origin, so that it cannot be moved either.
    fn begin(generation: &'k Generation, origin: &ChainOrigin) -> Self {
        let mut mac = keyed(generation);
        mac.update(b"gatepost/audit/origin/v1");
        mac.update(origin.instance.as_bytes());
        mac.update(&origin.after.to_be_bytes());
        let mac = ChainMac(mac.finalize().into_bytes().into());
        Self { generation, seq: origin.after, mac }
    }

    pub fn head(&self) -> ChainHead {
        ChainHead { seq: self.seq, mac: self.mac }
    }

    /// The row that `entry` becomes at the end of the chain.
    pub(super) fn append(&mut self, entry: AuditEntry) -> AuditRow {
        self.seq += 1;
        self.mac = self.next_mac(&entry);
        AuditRow { seq: self.seq, entry, mac: self.mac }
    }

    /// Takes one step to `row`.
    ///
    /// # Errors
    /// It is not the row that was written there.
    pub fn follow(&mut self, row: &AuditRow) -> Result<(), Break> {
        self.seq += 1;
        if row.seq != self.seq {
            return Err(Break::Missing { seq: self.seq });
        }
        self.mac = self.next_mac(&row.entry);
        if row.mac != self.mac {
            return Err(Break::Changed { seq: self.seq });
        }
        Ok(())
    }

    fn next_mac(&self, entry: &AuditEntry) -> ChainMac {
        let mut mac = keyed(self.generation);
        mac.update(&self.mac.0);
        mac.update(&self.seq.to_be_bytes());
        mac.update(&entry.at.as_microsecond().to_be_bytes());
        for field in entry.texts() {
            // Told apart: absent, empty, and where one ends and the next begins.
            match field {
                None => mac.update(&[0]),
                Some(text) => {
                    mac.update(&[1]);
                    mac.update(&(text.len() as u64).to_be_bytes());
                    mac.update(text.as_bytes());
                }
            }
        }
        ChainMac(mac.finalize().into_bytes().into())
    }
}

fn keyed(generation: &Generation) -> Hmac<Sha256> {
    Hmac::new_from_slice(&*generation.key).expect("HMAC takes keys of any length")
}

/// Where a chain does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    #[error("row {seq} was changed, or another row was put in its place")]
    Changed { seq: u64 },
    #[error("row {seq} was removed")]
    Missing { seq: u64 },
    #[error("the end was cut off: no row has the MAC {head}")]
    CutOff { head: ChainMac },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> ChainKeys {
        let current = SecretKey::parse(text).unwrap();
        ChainKeys::from(&SecretKeys { current, previous: None })
    }

    const ONE: &str = "5f1e0c9b7a3d48628e4f0a1b2c3d4e5f60718293";
    const OTHER: &str = "a4d3c2b1908f7e6d5c4b3a29180716f5e4d3c2b1";

    fn entry(action: &str) -> AuditEntry {
        AuditEntry {
            at: "2026-11-05T06:07:08.090807Z".parse().unwrap(),
            action: action.into(),
            actor_user_id: None,
            actor_key_id: None,
            actor_ip: None,
            request_id: None,
            subject_kind: "role".into(),
            subject_id: "a".into(),
            before: None,
            after: Some("{}".into()),
        }
    }

    fn origin() -> ChainOrigin {
        ChainOrigin { instance: Uuid::nil(), after: 2, fingerprint: None }
    }

    fn written(keys: &ChainKeys) -> Vec<AuditRow> {
        let mut chain = keys.begin(&origin()).unwrap();
        ["a", "b", "c", "d"].map(|action| chain.append(entry(action))).into()
    }

    fn walk(keys: &ChainKeys, rows: &[AuditRow]) -> Result<(), Break> {
        let mut chain = keys.begin(&origin()).unwrap();
        rows.iter().try_for_each(|row| chain.follow(row))
    }

    #[test]
    fn a_chain_as_it_was_written_holds() {
        let rows = written(&keys(ONE));
        assert_eq!(rows.first().map(|row| row.seq), Some(3), "after the rows that are older");
        assert_eq!(walk(&keys(ONE), &rows), Ok(()));
        assert_eq!(walk(&keys(OTHER), &rows), Err(Break::Changed { seq: 3 }));
    }

    #[test]
    fn the_first_bad_row_is_named() {
        let rows = written(&keys(ONE));
        let tampered = |tamper: &dyn Fn(&mut Vec<AuditRow>)| {
            let mut rows = rows.clone();
            tamper(&mut rows);
            walk(&keys(ONE), &rows).unwrap_err()
        };
        let changed = Break::Changed { seq: 4 };
        assert_eq!(tampered(&|rows| rows[1].entry.action.push('!')), changed);
        assert_eq!(tampered(&|rows| rows[1].entry.after = None), changed);
        assert_eq!(tampered(&|rows| rows[1].mac = rows[0].mac), changed);
        assert_eq!(tampered(&|rows| drop(rows.remove(1))), Break::Missing { seq: 4 });
        let swapped = tampered(&|rows| {
            rows.swap(1, 2);
            (rows[1].seq, rows[2].seq) = (4, 5);
        });
        assert_eq!(swapped, changed);
    }

    #[test]
    fn text_that_moves_from_one_field_to_the_next_is_a_change() {
        let mut rows = written(&keys(ONE));
        rows[0].entry.subject_kind = "rol".into();
        rows[0].entry.subject_id = "ea".into();
        assert_eq!(walk(&keys(ONE), &rows), Err(Break::Changed { seq: 3 }));
    }
}
