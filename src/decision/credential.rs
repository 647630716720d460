use http::HeaderMap;

use crate::key::{Digest, LookupId};
use crate::policy::{CredentialRules, KeySource};

/// A credential as it was read: absent, present or bad; a bad one never becomes absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// It has our shape and checksum.
    Minted { lookup_id: LookupId, digest: Digest },
    /// It does not start with `gp_`: perhaps a key of another system, imported by digest.
    Foreign { digest: Digest },
}

/// Which of the request's headers hold credentials that must not reach the upstream.
pub fn strip_plan<'r>(rules: &'r CredentialRules, headers: &HeaderMap) -> Vec<&'r KeySource> {
    let _ = (rules, headers);
    todo!()
}
