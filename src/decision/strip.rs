use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::credential::{Pair, authorization_is_ours, cookies, query_pairs};
use crate::policy::{CredentialRules, KeySource};

/// What is taken out of a request so that no credential of ours reaches the upstream.
///
/// - A header that is a source of keys: always.
/// - `Authorization`: when the credential was read from it, or it holds a key of ours. Any other is
///   the application's own, on public routes as well.
/// - A query parameter or cookie that is a source of keys: that one alone, the rest byte for byte.
#[derive(Clone, Copy, Debug)]
pub struct Strip<'p> {
    sources: &'p [KeySource],
    read_from_authorization: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderEdit<'a> {
    Remove(&'a HeaderName),
    /// In place of all headers of this name.
    Replace(&'a HeaderName, HeaderValue),
}

impl<'p> Strip<'p> {
    pub(super) fn nothing() -> Self {
        Self { sources: &[], read_from_authorization: false }
    }

    pub(super) fn of(rules: &'p CredentialRules, read_from_authorization: bool) -> Self {
        Self { sources: &rules.sources, read_from_authorization }
    }

    pub fn header_edits<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> impl Iterator<Item = HeaderEdit<'a>> {
        let removed = self.sources.iter().filter_map(|source| self.removed(source, headers));
        let has_cookies = self.sources.iter().any(|source| matches!(source, KeySource::Cookie(_)));
        let cookie_edit = if has_cookies { self.cookie_edit(headers) } else { None };
        removed.map(HeaderEdit::Remove).chain(cookie_edit)
    }

    fn removed<'a>(&self, source: &'a KeySource, headers: &HeaderMap) -> Option<&'a HeaderName> {
        match source {
            source if source.is_authorization() => {
                let mut values = headers.get_all(AUTHORIZATION).iter();
                let ours = |value: &HeaderValue| {
                    self.read_from_authorization || authorization_is_ours(value.as_bytes())
                };
                values.any(ours).then_some(&AUTHORIZATION)
            }
            KeySource::Header(name) => headers.contains_key(name).then_some(name),
            KeySource::Bearer | KeySource::Query(_) | KeySource::Cookie(_) => None,
        }
    }

    fn cookie_edit<'a>(&self, headers: &HeaderMap) -> Option<HeaderEdit<'a>> {
        let ours = |cookie: &Pair<'_>| {
            let is = |source: &KeySource| matches!(source, KeySource::Cookie(n) if cookie.is(n));
            self.sources.iter().any(is)
        };
        if !cookies(headers).any(|cookie| ours(&cookie)) {
            return None;
        }
        let kept = without(cookies(headers), ours).join(&b"; "[..]);
        // Parts of header values, joined, are one again.
        match HeaderValue::from_bytes(&kept) {
            Ok(value) if !value.is_empty() => Some(HeaderEdit::Replace(&COOKIE, value)),
            _ => Some(HeaderEdit::Remove(&COOKIE)),
        }
    }

    /// The target to forward. The path is never touched; a query that held nothing but keys goes
    /// together with its `?`.
    pub fn target<'t>(&self, target: &'t [u8]) -> Cow<'t, [u8]> {
        let ours = |pair: &Pair<'_>| {
            let is = |source: &KeySource| matches!(source, KeySource::Query(n) if pair.is(n));
            self.sources.iter().any(is)
        };
        let Some(start) = memchr::memchr(b'?', target) else { return Cow::Borrowed(target) };
        let (path, query) = (&target[..start], &target[start + 1..]);
        if !query_pairs(query).any(|pair| ours(&pair)) {
            return Cow::Borrowed(target);
        }
        let kept = without(query_pairs(query), ours);
        match kept.is_empty() {
            true => Cow::Borrowed(path),
            false => Cow::Owned([path, &kept.join(&b'&')].join(&b'?')),
        }
    }
}

/// The text of the pairs that are not `ours`.
fn without<'a>(
    pairs: impl Iterator<Item = Pair<'a>>,
    ours: impl Fn(&Pair<'_>) -> bool,
) -> Vec<&'a [u8]> {
    pairs.filter(|pair| !ours(pair)).map(|pair| pair.text).collect()
}
