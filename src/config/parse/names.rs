use http::{HeaderName, Method};

use super::nearest;
use crate::config::reader::Fault;
use crate::config::{Balance, IdentityHeader};
use crate::decision::Denial;
use crate::key::{Environment, Pattern, Permission};
use crate::policy::{Exceptions, KeySource, MethodSet, PathPattern, check_target};

/// The name of a route, an upstream or a tier: it becomes a metric label and a log field.
pub fn entry_name(text: &str) -> Result<Box<str>, Fault> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fits {
        Ok(text.into())
    } else {
        Err(Fault::new("is not a name").hint("1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`"))
    }
}

/// One of a few words.
pub fn one_of(words: &'static [&'static str]) -> impl Fn(&str) -> Result<&'static str, Fault> {
    move |text| {
        let known = words.iter().copied().find(|word| *word == text);
        known.ok_or_else(|| Fault {
            reason: format!("is none of {}", words.join(", ")),
            hint: nearest(text, words.iter().copied()),
        })
    }
}

pub fn nothing_empty(text: &str) -> Result<String, Fault> {
    if text.is_empty() { Err(Fault::new("must not be empty")) } else { Ok(text.to_owned()) }
}

/// How requests are spread over an upstream's servers.
pub fn balance(text: &str) -> Result<Balance, Fault> {
    match one_of(&["round-robin", "least-connections", "hash:client-ip"])(text)? {
        "hash:client-ip" => Ok(Balance::ClientIpHash),
        "least-connections" => {
            Err(Fault::new("is not available yet").hint("use round-robin for now"))
        }
        _ => Ok(Balance::RoundRobin),
    }
}

/// The target of a health check.
pub fn local_path(text: &str) -> Result<String, Fault> {
    if check_target(text.as_bytes()) == Ok(Exceptions::NONE) {
        Ok(text.to_owned())
    } else {
        Err(Fault::new("is not a path").hint("for example /healthz"))
    }
}

/// A method registered with IANA that a proxy can forward.
pub fn method(text: &str) -> Result<Method, Fault> {
    let registered = MethodSet::is_registered(text).then(|| Method::from_bytes(text.as_bytes()));
    let Some(Ok(method)) = registered else {
        return Err(Fault {
            reason: "is not a method registered with IANA".into(),
            hint: nearest(text, MethodSet::registered().iter().copied())
                .or_else(|| Some("for example GET, POST, PUT, PATCH or DELETE".into())),
        });
    };
    if MethodSet::is_forwarded(&method) {
        Ok(method)
    } else {
        Err(Fault::new("is never forwarded").hint("remove it: Gatepost refuses it everywhere"))
    }
}

/// A path pattern.
pub fn path(text: &str) -> Result<PathPattern, Fault> {
    PathPattern::parse(text).map_err(|cause| Fault {
        reason: format!("is not a path: {}", cause.reason),
        hint: cause.hint,
    })
}

/// One concrete permission, as a route asks for it.
pub fn permission(text: &str) -> Result<Permission, Fault> {
    if text.contains('*') {
        return Err(Fault::new("is a wildcard, and a route asks for permissions by name")
            .hint("name each permission; wildcards belong to roles and keys"));
    }
    Permission::parse(text).map_err(|cause| permission_fault(cause.reason))
}

/// What a key may hold: a permission or a wildcard.
pub fn pattern(text: &str) -> Result<Pattern, Fault> {
    Pattern::parse(text).map_err(|cause| permission_fault(cause.reason))
}

fn permission_fault(reason: &str) -> Fault {
    Fault::new(format!("is not a permission: {reason}")).hint("for example orders:read")
}

pub fn environment(text: &str) -> Result<Environment, Fault> {
    Environment::parse(text).ok_or_else(|| {
        Fault::new("is not an environment").hint("2 to 12 of a-z and 0-9, for example live or test")
    })
}

/// `header:NAME`, `bearer`, `query:NAME` or `cookie:NAME`.
pub fn key_source(text: &str) -> Result<KeySource, Fault> {
    let fault = |hint: &str| Err(Fault::new("is not a place to read a key from").hint(hint));
    let usage = "`header:NAME`, `bearer`, `query:NAME` or `cookie:NAME`";
    let (kind, name) = match text.split_once(':') {
        Some((kind, name)) => (kind, Some(name)),
        None => (text, None),
    };
    match (kind, name) {
        ("bearer", None) => Ok(KeySource::Bearer),
        ("header", Some(name)) => match HeaderName::try_from(name) {
            Ok(name) if name == http::header::AUTHORIZATION => {
                fault("write `bearer` for `Authorization: Bearer …`")
            }
            Ok(name) if name == http::header::COOKIE => fault("write `cookie:NAME`"),
            Ok(name) if is_framing(&name) => fault("this header has a meaning of its own"),
            Ok(name) => Ok(KeySource::Header(name)),
            Err(_) => fault("the name of the header is not one"),
        },
        ("query", Some(name)) if is_parameter(name) => Ok(KeySource::Query(name.into())),
        ("cookie", Some(name)) if is_parameter(name) => Ok(KeySource::Cookie(name.into())),
        ("query" | "cookie", Some(_)) => {
            fault("the name has 1 to 64 of a-z, A-Z, 0-9, `-`, `_`, `.`")
        }
        _ => fault(usage),
    }
}

/// Headers that say where a message goes and where it ends.
fn is_framing(name: &HeaderName) -> bool {
    use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
    [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
}

fn is_parameter(name: &str) -> bool {
    entry_name(name).is_ok()
}

/// The realm in `WWW-Authenticate`: what fits between quotes.
pub fn realm(text: &str) -> Result<Box<str>, Fault> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\');
    if fits {
        Ok(text.into())
    } else {
        Err(Fault::new("is not a realm")
            .hint("1 to 64 printable ASCII characters without `\"` and `\\`"))
    }
}

pub fn identity(text: &str) -> Result<IdentityHeader, Fault> {
    match one_of(&["key-name", "tier", "environment", "permissions", "assertion"])(text)? {
        "key-name" => Ok(IdentityHeader::KeyName),
        "tier" => Ok(IdentityHeader::Tier),
        "environment" => Ok(IdentityHeader::Environment),
        "permissions" => Ok(IdentityHeader::Permissions),
        _ => Ok(IdentityHeader::Assertion),
    }
}

/// `METHOD PATH`. The path is any text: a test may ask for one that is refused.
pub fn request_line(text: &str) -> Result<(Method, String), Fault> {
    match text.split_once(' ') {
        Some((name, path)) if !path.is_empty() => match method(name) {
            Ok(method) => Ok((method, path.to_owned())),
            Err(fault) => {
                Err(Fault { reason: format!("begins with a word that {}", fault.reason), ..fault })
            }
        },
        _ => {
            Err(Fault::new("is not a request").hint("a method and a path, for example GET /health"))
        }
    }
}

/// `allow` (`None`) or the code of a denial.
pub fn denial(text: &str) -> Result<Option<Denial>, Fault> {
    if text == "allow" {
        return Ok(None);
    }
    let codes = || Denial::ALL.iter().map(|denial| denial.code());
    match Denial::ALL.iter().find(|denial| denial.code() == text) {
        Some(denial) => Ok(Some(*denial)),
        None => Err(Fault {
            reason: "is neither `allow` nor the code of a denial".into(),
            hint: nearest(text, codes().chain(["allow"]))
                .or_else(|| Some(format!("one of {}", codes().collect::<Vec<_>>().join(", ")))),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_the_registered_ones() {
        assert_eq!(method("GET"), Ok(Method::GET));
        assert_eq!(method("PROPFIND").unwrap().as_str(), "PROPFIND");
        let hint = |text| method(text).unwrap_err().hint.unwrap();
        assert!(hint("get").contains("`GET`"));
        assert!(hint("DELTE").contains("`DELETE`"));
        assert!(method("TRACE").unwrap_err().reason.contains("never"));
        assert!(method("").is_err());
    }

    #[test]
    fn key_sources() {
        let x_api_key = HeaderName::from_static("x-api-key");
        assert_eq!(key_source("header:X-API-Key"), Ok(KeySource::Header(x_api_key)));
        assert_eq!(key_source("bearer"), Ok(KeySource::Bearer));
        assert_eq!(key_source("query:key"), Ok(KeySource::Query("key".into())));
        assert_eq!(key_source("cookie:key"), Ok(KeySource::Cookie("key".into())));
        for wrong in
            ["", "header", "header:", "header:a b", "bearer:x", "query:", "cookie:a=b", "X"]
        {
            assert!(key_source(wrong).is_err(), "{wrong}");
        }
        let hint = |text| key_source(text).unwrap_err().hint.unwrap();
        assert!(hint("header:Authorization").contains("`bearer`"));
        assert!(hint("header:Host").contains("meaning of its own"));
    }

    #[test]
    fn names_and_realms_stay_printable() {
        assert!(entry_name("orders-read").is_ok());
        for wrong in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(entry_name(wrong).is_err(), "{wrong}");
        }
        assert!(realm("My API").is_ok());
        for wrong in ["", "a\"b", "a\\b", "a\nb", "é"] {
            assert!(realm(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn expectations() {
        assert_eq!(denial("allow"), Ok(None));
        assert_eq!(denial("no_route"), Ok(Some(Denial::NoRoute)));
        assert!(
            denial("insufficient_permission").unwrap_err().hint.unwrap().contains("permissions")
        );
    }

    #[test]
    fn requests() {
        assert_eq!(request_line("GET //a b"), Ok((Method::GET, "//a b".into())));
        for wrong in ["", "GET", "GET ", "/health", "FETCH /health"] {
            assert!(request_line(wrong).is_err(), "{wrong}");
        }
    }
}
