//! Which of a client's headers never reach an upstream.
//!
//! Names are compared with every non-alphanumeric the same: a CGI-like server reads
//! `X_Gatepost.User-Id` and `X-Gatepost-User-Id` as one variable, so both are ours.

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, StatusCode};
use pingora::http::ResponseHeader;

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

/// About one connection, whatever `Connection` says (RFC 9110, section 7.6.1).
pub static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

static NEVER_NOMINATED: [HeaderName; 4] = [HOST, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING];

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

/// What an upstream may not say to a client: anything in our name, and what is about its own
/// connection.
pub fn response_reserved(headers: &HeaderMap, status: StatusCode) -> Vec<HeaderName> {
    let upgraded = status == StatusCode::SWITCHING_PROTOCOLS;
    let mut reserved: Vec<HeaderName> = headers
        .keys()
        .filter(|name| match name.as_str() {
            "keep-alive" | "proxy-connection" | "trailer" => true,
            "upgrade" => !upgraded,
            name => name.starts_with('x') && begins_like(name, OUR_FAMILY),
        })
        .cloned()
        .collect();
    if !upgraded {
        reserved.extend(nominated(headers));
    }
    reserved
}

/// What an answer of an upstream must not be, though the framework would pass it on: a change of
/// protocol that nobody asked for, or a body whose end only some readers see.
pub fn response_fault(response: &ResponseHeader, upgrade: bool) -> Option<&'static str> {
    if response.status == StatusCode::SWITCHING_PROTOCOLS && !upgrade {
        return Some("the upstream changes the protocol unasked");
    }
    let mut codings = response.headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next()?;
    let clear = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
    (!clear).then_some("the upstream's transfer coding is not `chunked`, once")
}

/// What an upstream says of limits of its own, in the standard's words and in those before it.
pub fn limit_headers(headers: &HeaderMap) -> Vec<HeaderName> {
    let begins = |name: &&HeaderName| {
        let name = name.as_str();
        ["ratelimit", "x-ratelimit", "x-rate-limit"].iter().any(|family| name.starts_with(family))
    };
    headers.keys().filter(begins).cloned().collect()
}

/// The headers that `Connection` names as its own. What the message is read by is not for it to
/// take away.
pub fn nominated(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    headers
        .get_all(CONNECTION)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|option| {
            ![&b"keep-alive"[..], b"close"].iter().any(|o| option.eq_ignore_ascii_case(o))
        })
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .filter(|name| !NEVER_NOMINATED.contains(name))
}

fn is_reserved(name: &str, peer_is_trusted: bool) -> bool {
    if !has_reserved_length(name) && !name.starts_with('x') {
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

/// For each first byte, the lengths of the names that begin with it, as bits: this alone tells
/// most ordinary names from reserved ones.
static LENGTHS: [u64; 128] = {
    let mut lengths = [0; 128];
    let lists = [OURS, OVERRIDES, FORWARDING];
    let mut list = 0;
    while list < lists.len() {
        let mut name = 0;
        while name < lists[list].len() {
            let text = lists[list][name].as_bytes();
            lengths[text[0] as usize] |= 1 << text.len();
            name += 1;
        }
        list += 1;
    }
    lengths
};

fn has_reserved_length(name: &str) -> bool {
    let first = name.as_bytes().first().and_then(|&first| LENGTHS.get(usize::from(first)));
    first.is_some_and(|lengths| name.len() < 64 && lengths & (1 << name.len()) != 0)
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

    #[test]
    fn an_upstream_speaks_neither_for_us_nor_about_its_connection() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Hop, Content-Length"),
            ("keep-alive", "timeout=5"),
            ("x-hop", "1"),
            ("content-length", "0"),
            ("x_gatepost_user_id", "1"),
            ("x-powered-by", "1"),
        ] {
            let name = HeaderName::from_static(name);
            headers.append(name, HeaderValue::from_static(value));
        }
        let mut reserved = response_reserved(&headers, StatusCode::OK);
        reserved.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        assert_eq!(reserved, ["keep-alive", "x-hop", "x_gatepost_user_id"]);
    }

    #[test]
    fn an_upgrade_keeps_its_handshake() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.append(UPGRADE, HeaderValue::from_static("websocket"));
        assert!(response_reserved(&headers, StatusCode::SWITCHING_PROTOCOLS).is_empty());
        assert_eq!(response_reserved(&headers, StatusCode::OK), [UPGRADE, UPGRADE]);
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
