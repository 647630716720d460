use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, header};

use super::Denial;
use crate::key::{Digest, LookupId, PREFIX, ParsedKey};
use crate::policy::{CredentialRules, KeySource};
use crate::request::RequestView;

/// No key of another system is longer, and nothing longer is worth hashing.
const MAX_FOREIGN: usize = 1024;

/// A credential as it was read: absent, present or bad; a bad one never becomes absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// It has our shape and checksum.
    Minted { lookup_id: LookupId, digest: Digest },
    /// It does not start with `gp_`: perhaps a key of another system, imported by digest.
    Foreign { digest: Digest },
}

impl Credential {
    pub fn digest(&self) -> &Digest {
        match self {
            Credential::Minted { digest, .. } | Credential::Foreign { digest } => digest,
        }
    }

    /// # Errors
    /// It is meant to be one of ours and is not, or too long to be anybody's.
    pub fn parse(text: &[u8]) -> Result<Self, Denial> {
        if is_ours(text) {
            let parsed = ParsedKey::parse(text).map_err(|_| Denial::InvalidKey)?;
            return Ok(Self::Minted { lookup_id: parsed.lookup_id, digest: Digest::of(text) });
        }
        if text.len() > MAX_FOREIGN {
            return Err(Denial::InvalidKey);
        }
        Ok(Self::Foreign { digest: Digest::of(text) })
    }
}

/// The one credential of a request, and the source that held it.
pub fn read<'p>(
    view: &RequestView<'_>,
    rules: &'p CredentialRules,
) -> Result<(Credential, &'p KeySource), Denial> {
    let mut first = None;
    // The later sources are looked at too: two keys are one too many.
    for source in &rules.sources {
        let Some(text) = held(source, view)? else { continue };
        match first {
            None => first = Some((text, source)),
            Some(_) if is_ours(text) => return Err(Denial::AmbiguousCredentials),
            Some(_) => {}
        }
    }
    let (text, source) = first.ok_or(Denial::MissingKey)?;
    Ok((Credential::parse(text)?, source))
}

/// What `source` holds; nothing where it is absent or empty.
fn held<'a>(source: &KeySource, view: &RequestView<'a>) -> Result<Option<&'a [u8]>, Denial> {
    let text = match source {
        KeySource::Header(name) => header(name, view.headers)?,
        KeySource::Bearer => header(&AUTHORIZATION, view.headers)?.and_then(bearer_token),
        KeySource::Query(name) => {
            let query = view.query().unwrap_or_default();
            one(query_pairs(query).filter(|pair| pair.is(name)).map(|pair| pair.value))?
        }
        KeySource::Cookie(name) => {
            one(cookies(view.headers).filter(|cookie| cookie.is(name)).map(|cookie| cookie.value))?
        }
    };
    Ok(text.filter(|text| !text.is_empty()))
}

fn header<'a>(name: &HeaderName, headers: &'a HeaderMap) -> Result<Option<&'a [u8]>, Denial> {
    one(headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()))
}

/// The same source twice is ambiguous, even if both hold the same.
fn one<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, Denial> {
    let first = values.next();
    if values.next().is_some() { Err(Denial::AmbiguousCredentials) } else { Ok(first) }
}

/// The token of `Bearer <token>`; the name of the scheme is case-insensitive (RFC 9110).
///
/// A key of ours under another scheme, or without one, is held but never right: it is neither
/// overlooked nor taken.
fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = split_scheme(value);
    match scheme.eq_ignore_ascii_case(b"bearer") {
        true => Some(token),
        false => authorization_is_ours(value).then_some(PREFIX.as_bytes()),
    }
}

fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let end = value.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(value.len());
    let (scheme, token) = value.split_at(end);
    (scheme, token.trim_ascii())
}

pub(super) fn authorization_is_ours(value: &[u8]) -> bool {
    is_ours(value.trim_ascii()) || is_ours(split_scheme(value.trim_ascii()).1)
}

fn is_ours(text: &[u8]) -> bool {
    text.starts_with(PREFIX.as_bytes())
}

/// `name=value`, and the bytes that both came from.
pub(super) struct Pair<'a> {
    name: &'a [u8],
    value: &'a [u8],
    pub text: &'a [u8],
}

impl<'a> Pair<'a> {
    fn parse(text: &'a [u8]) -> Self {
        match memchr::memchr(b'=', text) {
            Some(end) => Self { name: &text[..end], value: &text[end + 1..], text },
            None => Self { name: text, value: b"", text },
        }
    }

    /// Names are matched as they stand: a key and its parameter's name need no escapes.
    pub fn is(&self, name: &str) -> bool {
        self.name == name.as_bytes()
    }
}

pub(super) fn query_pairs(query: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    query.split(|&b| b == b'&').map(Pair::parse)
}

/// The cookies of all `Cookie` headers: HTTP/2 may split them into several.
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = Pair<'_>> {
    let values = headers.get_all(header::COOKIE).iter();
    values
        .flat_map(|value| value.as_bytes().split(|&b| b == b';'))
        .map(|text| Pair::parse(text.trim_ascii()))
        .filter(|pair| !pair.text.is_empty())
}
