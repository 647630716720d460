use std::collections::HashSet;

use parking_lot::RwLock;
use uuid::Uuid;

use crate::decision::Credential;
use crate::key::{Digest, IdKey, LookupId};
use crate::store::Instance;

/// Under what a key is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Minted(LookupId),
    Imported([u8; 32]),
}

impl Slot {
    pub fn imported(digest: &Digest) -> Self {
        Slot::Imported(*digest.as_bytes())
    }
}

/// What tells the keys of this instance from a stranger's: without a look-up, and without a byte
/// of memory for what a stranger sends.
pub(super) struct Origin {
    pub instance: Uuid,
    id_key: IdKey,
    /// Digests that were imported, those of revoked keys among them. Only people who may import
    /// keys can make it grow.
    imported: RwLock<HashSet<[u8; 32]>>,
}

impl Origin {
    pub fn new(instance: Instance, imported: Vec<Digest>) -> Self {
        let origin = Self {
            instance: instance.id,
            id_key: instance.id_key,
            imported: RwLock::new(HashSet::new()),
        };
        origin.set_imported(imported);
        origin
    }

    pub fn set_imported(&self, digests: Vec<Digest>) {
        *self.imported.write() = digests.iter().map(|digest| *digest.as_bytes()).collect();
    }

    /// A key was imported, or one that was has changed.
    pub fn add_imported(&self, digest: &Digest) {
        self.imported.write().insert(*digest.as_bytes());
    }

    /// Where a key with this credential would be; `None` when it cannot be one of ours.
    pub fn slot(&self, credential: &Credential) -> Option<Slot> {
        match credential {
            Credential::Minted { lookup_id, .. } => {
                self.id_key.minted(lookup_id).then_some(Slot::Minted(*lookup_id))
            }
            Credential::Foreign { digest } => {
                let known = self.imported.read().contains(digest.as_bytes());
                known.then(|| Slot::imported(digest))
            }
        }
    }
}
