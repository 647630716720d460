//! Who is calling, as the upstream reads it.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::trace::uuid_value;
use crate::assertion::{Assertions, Claims};
use crate::clock;
use crate::config::IdentityHeader;
use crate::decision::Admission;
use crate::key::KeyRecord;

static USER_ID: HeaderName = HeaderName::from_static("x-gatepost-user-id");
static KEY_ID: HeaderName = HeaderName::from_static("x-gatepost-key-id");
static KEY_NAME: HeaderName = HeaderName::from_static("x-gatepost-key-name");
static TIER: HeaderName = HeaderName::from_static("x-gatepost-tier");
static ENVIRONMENT: HeaderName = HeaderName::from_static("x-gatepost-environment");
static ASSERTION: HeaderName = HeaderName::from_static("x-gatepost-assertion");
static PERMISSIONS: HeaderName = HeaderName::from_static("x-gatepost-permissions");

/// Who signs for whom.
pub struct Signed<'a> {
    pub assertions: &'a Assertions,
    pub issuer: &'a str,
}

impl Signed<'_> {
    /// The upstream that the route leads to can check it, and no other one takes it.
    fn of(&self, key: &KeyRecord, admission: &Admission) -> HeaderValue {
        let claims = Claims {
            issuer: self.issuer,
            audience: &admission.route().upstream,
            key,
            permissions: admission.matched(),
        };
        self.assertions.of(&claims, clock::now())
    }
}

/// Sets the identity that `admission` proves; nothing on a public route. Whatever the client sent
/// under these names is gone already.
pub fn set_identity(
    headers: &mut HeaderMap,
    admission: &Admission,
    wanted: &[IdentityHeader],
    signed: &Signed<'_>,
) {
    let Some(key) = admission.key() else { return };
    headers.insert(&USER_ID, uuid_value(key.owner.id));
    headers.insert(&KEY_ID, uuid_value(key.id));
    for header in wanted {
        match header {
            IdentityHeader::KeyName => {
                headers.insert(&KEY_NAME, text_value(&key.name));
            }
            // A user without a tier is unlimited, which the empty value says.
            IdentityHeader::Tier => {
                let tier = key.owner.tier.as_deref().unwrap_or_default();
                headers.insert(&TIER, text_value(tier));
            }
            IdentityHeader::Environment => {
                headers.insert(&ENVIRONMENT, text_value(key.environment.as_str()));
            }
            IdentityHeader::Permissions => {
                headers.insert(&PERMISSIONS, permissions_value(admission));
            }
            IdentityHeader::Assertion => {
                headers.insert(&ASSERTION, signed.of(key, admission));
            }
        }
    }
}

/// The required permissions that matched, comma-separated.
fn permissions_value(admission: &Admission) -> HeaderValue {
    let mut list = String::new();
    for permission in admission.matched() {
        let separator = if list.is_empty() { "" } else { "," };
        let _ = write!(list, "{separator}{permission}");
    }
    HeaderValue::try_from(list).unwrap_or(HeaderValue::from_static(""))
}

/// Text that people chose, percent-encoded where it is not visible ASCII: a header carries bytes,
/// and its readers disagree on the rest.
fn text_value(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_become_safe_values() {
        assert_eq!(text_value("ci"), "ci");
        assert_eq!(text_value("CI für 100%"), "CI%20f%C3%BCr%20100%25");
        assert_eq!(text_value("a\r\nX-Admin: 1"), "a%0D%0AX-Admin:%201");
    }

    proptest! {
        #[test]
        fn any_name_is_visible_ascii(name in ".*") {
            let value = text_value(&name);
            prop_assert!(value.as_bytes().iter().all(u8::is_ascii_graphic));
            prop_assert!(name.is_empty() || !value.is_empty());
        }
    }
}
