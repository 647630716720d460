//! From what a row holds back to the types it was written from.
//!
//! A value that does not parse was not written by us: [`StoreError::Incompatible`].

use ipnet::IpNet;
use uuid::Uuid;

use super::{ChainMac, FeedSubject, StoreError};
use crate::key::{Digest, Environment, IdKey, LookupId, Pattern, Permission, Quota, Rate};
use crate::lockout::{Source, Target};

pub(super) fn unreadable(what: &str) -> StoreError {
    StoreError::Incompatible(format!("a row holds {what} that cannot be read"))
}

pub(super) fn patterns<C: FromIterator<Pattern>>(texts: Vec<String>) -> Result<C, StoreError> {
    texts
        .iter()
        .map(|text| Pattern::parse(text).map_err(|_| unreadable("a permission pattern")))
        .collect()
}

pub(super) fn permission(text: &str) -> Result<Permission, StoreError> {
    Permission::parse(text).map_err(|_| unreadable("a permission"))
}

pub(super) fn networks<C: FromIterator<IpNet>>(texts: Vec<String>) -> Result<C, StoreError> {
    texts.iter().map(|text| text.parse().map_err(|_| unreadable("a network"))).collect()
}

/// How networks are kept: without the bits beyond the mask, which `cidr` refuses and which mean
/// nothing.
pub(super) fn network_texts(networks: &[IpNet]) -> Vec<String> {
    networks.iter().map(|network| network.trunc().to_string()).collect()
}

pub(super) fn environment(text: &str) -> Result<Environment, StoreError> {
    Environment::parse(text).ok_or_else(|| unreadable("an environment"))
}

pub(super) fn rate(text: &str) -> Result<Rate, StoreError> {
    Rate::parse(text).ok_or_else(|| unreadable("a rate"))
}

pub(super) fn quota(text: &str) -> Result<Quota, StoreError> {
    Quota::parse(text).ok_or_else(|| unreadable("a quota"))
}

pub(super) fn lookup_id(text: &str) -> Result<LookupId, StoreError> {
    LookupId::parse(text.as_bytes()).ok_or_else(|| unreadable("a lookup id"))
}

pub(super) fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    bytes.try_into().map(Digest::from_bytes).map_err(|_| unreadable("a digest"))
}

pub(super) fn id_key(bytes: &[u8]) -> Result<IdKey, StoreError> {
    bytes.try_into().map(IdKey::from_bytes).map_err(|_| unreadable("an id key"))
}

pub(super) fn fingerprint(bytes: &[u8]) -> Result<[u8; 16], StoreError> {
    bytes.try_into().map_err(|_| unreadable("a fingerprint"))
}

pub(super) fn mac(bytes: &[u8]) -> Result<ChainMac, StoreError> {
    bytes.try_into().map(ChainMac::from_bytes).map_err(|_| unreadable("a MAC"))
}

pub(super) fn uuid(text: &str) -> Result<Uuid, StoreError> {
    text.parse().map_err(|_| unreadable("an id"))
}

/// A row of the feed, by the kind and subject that [`Subject`](super::audit::Subject) wrote.
pub(super) fn feed_subject(kind: &str, subject: &str) -> Result<FeedSubject, StoreError> {
    Ok(match kind {
        "key" => FeedSubject::Key(lookup_id(subject)?),
        "imported" => {
            let bytes = hex::decode(subject).map_err(|_| unreadable("a digest"))?;
            FeedSubject::Imported(digest(&bytes)?)
        }
        "user" => FeedSubject::User(uuid(subject)?),
        "role" => FeedSubject::Role(subject.into()),
        "permission" => FeedSubject::Permission,
        _ => return Err(unreadable("a kind of change")),
    })
}

/// The cursor of a list that is ordered by id.
pub(super) fn cursor(after: Option<&str>) -> Result<Option<Uuid>, StoreError> {
    let parse = |text: &str| text.parse().map_err(|_| StoreError::Invalid("the cursor is unknown"));
    after.map(parse).transpose()
}

/// A source as it is kept; empty is none.
pub(super) fn source_text(source: Option<Source>) -> String {
    source.map_or_else(String::new, |source| source.to_string())
}

pub(super) fn source(text: &str) -> Result<Option<Source>, StoreError> {
    if text.is_empty() {
        return Ok(None);
    }
    Source::parse(text).map(Some).ok_or_else(|| unreadable("a source"))
}

pub(super) fn target(
    kind: &str,
    subject: Uuid,
    source: Option<Source>,
) -> Result<Target, StoreError> {
    Target::from_parts(kind, subject, source).ok_or_else(|| unreadable("a kind of lock"))
}

pub(super) fn strikes(number: i64) -> u8 {
    number.clamp(0, i64::from(u8::MAX)) as u8
}

/// The cursor of a list that is ordered by a number.
pub(super) fn number_cursor(after: Option<&str>) -> Result<Option<i64>, StoreError> {
    let parse = |text: &str| text.parse().map_err(|_| StoreError::Invalid("the cursor is unknown"));
    after.map(parse).transpose()
}
