//! Which of a client's headers never reach an upstream.
//!
//! Names are compared with every non-alphanumeric the same: a CGI-like server reads
//! `X_Gatepost.User-Id` and `X-Gatepost-User-Id` as one variable, so both are ours.

use http::{HeaderMap, HeaderName};

/// What an upstream reads as our word. Removed whoever sent it; ours are set afterwards.
const OURS: &[&str] = &["x-gatepost", "x-request-id"];

/// Headers that make a lenient server act on another path or method than the one judged.
const OVERRIDES: &[&str] = &[
    "x-envoy-original-path",
    "x-http-method",
    "x-http-method-override",
    "x-http-path-override",
    "x-method",
    "x-method-override",
    "x-middleware-subrequest",
    "x-original-method",
    "x-original-path",
    "x-original-uri",
    "x-original-url",
    "x-override-url",
    "x-rewrite-uri",
    "x-rewrite-url",
];

/// Headers that tell where a request came from. Only a trusted proxy may.
const FORWARDING: &[&str] = &[
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "forwarded-for",
    "proxy-client-ip",
    "true-client-ip",
    "wl-proxy-client-ip",
    "x-appengine-user-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-original-forwarded-for",
    "x-original-host",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-true-client-ip",
];

/// Families: a name that begins like this belongs to them whatever follows.
const OUR_FAMILY: &str = "x-gatepost-";
const FORWARDING_FAMILY: &str = "x-forwarded-";

/// Removes what a client may not say. What a trusted proxy says of the request's origin stays, in
/// its proper spelling; other spellings of it can only come from the client.
pub fn remove_reserved(headers: &mut HeaderMap, peer_is_trusted: bool) {
    let removed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_reserved(name.as_str(), peer_is_trusted))
        .cloned()
        .collect();
    for name in removed {
        headers.remove(name);
    }
}

/// Removes what an upstream may not say to a client in our name.
pub fn remove_ours(headers: &HeaderMap, mut remove: impl FnMut(HeaderName)) {
    headers
        .keys()
        .filter(|name| name.as_str().starts_with('x') && begins_like(name.as_str(), OUR_FAMILY))
        .cloned()
        .for_each(&mut remove);
}

fn is_reserved(name: &str, peer_is_trusted: bool) -> bool {
    // Every reserved name begins with one of these, and few ordinary ones do.
    if !matches!(name.as_bytes().first(), Some(b'x' | b'f' | b'c' | b't' | b'p' | b'w')) {
        return false;
    }
    if begins_like(name, OUR_FAMILY) || is_one_of(name, OURS) || is_one_of(name, OVERRIDES) {
        return true;
    }
    if !begins_like(name, FORWARDING_FAMILY) && !is_one_of(name, FORWARDING) {
        return false;
    }
    let proper = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    !(peer_is_trusted && proper)
}

fn is_one_of(name: &str, list: &[&str]) -> bool {
    list.iter().any(|reserved| reserved.len() == name.len() && begins_like(name, reserved))
}

/// Whether `name` begins with `prefix` for a reader who takes every separator for the same.
fn begins_like(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(|(a, b)| alike(a, b))
}

/// Header names are lower case already.
fn alike(a: u8, b: u8) -> bool {
    a == b || (!a.is_ascii_alphanumeric() && !b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn left(names: &[&str], peer_is_trusted: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for name in names {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            headers.append(name, HeaderValue::from_static("v"));
        }
        remove_reserved(&mut headers, peer_is_trusted);
        headers.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn our_names_go_in_every_spelling_and_from_everybody() {
        let spellings = [
            "X-Gatepost-User-Id",
            "x_gatepost_user_id",
            "X.Gatepost.Key~Id",
            "x-gatepost-anything-new",
            "X-Gatepost",
            "x_request.id",
        ];
        for trusted in [false, true] {
            assert!(left(&spellings, trusted).is_empty());
        }
    }

    #[test]
    fn overrides_go_even_from_a_trusted_proxy() {
        let overrides = ["X-Original-URL", "X_HTTP_Method_Override", "x-middleware-subrequest"];
        assert!(left(&overrides, true).is_empty());
    }

    #[test]
    fn the_origin_is_told_by_trusted_proxies_alone() {
        let told = ["forwarded", "x-forwarded-for", "x-forwarded-prefix", "x-real-ip"];
        assert!(left(&told, false).is_empty());
        assert_eq!(left(&told, true), told);
        assert!(left(&["x_forwarded_for", "x.real.ip"], true).is_empty(), "an odd spelling");
    }

    #[test]
    fn ordinary_names_pass() {
        let ordinary = [
            "accept",
            "content-type",
            "cookie",
            "x-api-version",
            "x-gateposts",
            "x_unusual",
            "x-forwardedness",
            "traceparent",
            "from",
        ];
        assert_eq!(left(&ordinary, false), ordinary);
    }

    proptest! {
        #[test]
        fn no_separator_hides_a_reserved_name(separators in "[-_.~!#$%&'*+^`|]{8}") {
            for reserved in OURS.iter().chain(OVERRIDES).chain(FORWARDING) {
                let mut separators = separators.chars().cycle();
                let spelled: String = reserved
                    .chars()
                    .map(|c| if c == '-' { separators.next().unwrap_or(c) } else { c })
                    .collect();
                prop_assert!(is_reserved(&spelled, false), "{spelled}");
            }
        }
    }
}
