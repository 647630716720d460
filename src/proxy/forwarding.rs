//! Where a request came from: what we believe of it, and what we tell the upstream.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::ProxySettings;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Hops that are followed back; a longer chain is nobody's real one.
const MAX_HOPS: usize = 32;

/// The longest text of an address: `ffff:…:255.255.255.255`.
const ADDRESS_TEXT: usize = 45;

/// The client: the socket's peer, or, when that is a trusted proxy, the last address of
/// `X-Forwarded-For` that is not one. Where the list stops making sense, the last hop that did.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, settings: &ProxySettings) -> IpAddr {
    let mut client = peer;
    for hop in hops(headers).take(MAX_HOPS) {
        if !settings.trusts(client) {
            break;
        }
        match hop {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// The addresses of `X-Forwarded-For` from the nearest hop to the farthest.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    headers
        .get_all(&X_FORWARDED_FOR)
        .iter()
        .rev()
        .flat_map(|line| line.as_bytes().rsplit(|&b| b == b','))
        .map(parse_hop)
}

/// An address, also with a port, as some proxies write it.
fn parse_hop(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let unbracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let address = match unbracketed.parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

/// What we know of a request's origin when it is forwarded.
pub struct Origin<'a> {
    pub peer: &'a HeaderValue,
    pub peer_is_trusted: bool,
    pub tls: bool,
}

/// Sets `X-Forwarded-For`, `-Proto` and `-Host`. What strangers said there is gone already; what a
/// trusted proxy said is continued.
pub fn set_forwarded(headers: &mut HeaderMap, origin: &Origin<'_>) {
    let chain = match headers.contains_key(&X_FORWARDED_FOR) {
        true => append_hop(headers, origin.peer),
        false => origin.peer.clone(),
    };
    headers.insert(&X_FORWARDED_FOR, chain);
    if !(origin.peer_is_trusted && headers.contains_key(&X_FORWARDED_PROTO)) {
        let scheme = if origin.tls { "https" } else { "http" };
        headers.insert(&X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if !(origin.peer_is_trusted && headers.contains_key(&X_FORWARDED_HOST))
        && let Some(host) = headers.get(HOST).cloned()
    {
        headers.insert(&X_FORWARDED_HOST, host);
    }
}

/// One line, so that a reader of the first line alone is not misled.
fn append_hop(headers: &HeaderMap, peer: &HeaderValue) -> HeaderValue {
    let mut chain = Vec::new();
    for line in headers.get_all(&X_FORWARDED_FOR) {
        chain.extend_from_slice(line.as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(peer.as_bytes());
    // It consists of header values, so it is one.
    HeaderValue::from_maybe_shared(bytes::Bytes::from(chain)).unwrap_or_else(|_| peer.clone())
}

/// An address as a header value.
pub fn address_value(address: IpAddr) -> HeaderValue {
    let mut text = [0; ADDRESS_TEXT];
    let mut rest = &mut text[..];
    let written = write!(rest, "{address}").is_ok();
    let length = ADDRESS_TEXT - rest.len();
    written
        .then(|| HeaderValue::from_bytes(&text[..length]).ok())
        .flatten()
        .unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(trusted: &[&str]) -> ProxySettings {
        ProxySettings {
            listen: Vec::new(),
            max_connections: 1_000,
            max_connections_per_source: 1_000,
            trusted_proxies: trusted.iter().map(|net| net.parse().expect("a network")).collect(),
            head_deadline: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            threads: 1,
            keepalive: Duration::from_secs(60),
        }
    }

    fn client(peer: &str, lines: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&X_FORWARDED_FOR, HeaderValue::from_static(line));
        }
        let peer = peer.parse().expect("an address");
        client_address(peer, &headers, &settings(trusted)).to_string()
    }

    #[test]
    fn nobody_is_believed_by_default() {
        assert_eq!(client("192.0.2.1", &["203.0.113.9"], &[]), "192.0.2.1");
    }

    #[test]
    fn the_nearest_untrusted_hop_is_the_client() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1", &["203.0.113.9"], trusted), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"], trusted), "203.0.113.9");
        assert_eq!(
            client("10.0.0.1", &["1.1.1.1", "203.0.113.9", "10.0.0.2"], trusted),
            "203.0.113.9"
        );
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"], trusted), "10.0.0.3");
        assert_eq!(client("10.0.0.1", &[], trusted), "10.0.0.1");
    }

    #[test]
    fn nonsense_ends_the_search_at_the_last_good_hop() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"], trusted), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, "], trusted), "10.0.0.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_understood() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1", &["203.0.113.9:4711"], trusted), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:4711"], trusted), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]"], trusted), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["::ffff:203.0.113.9"], trusted), "203.0.113.9");
    }

    fn forwarded(peer_is_trusted: bool, given: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let peer = address_value("192.0.2.1".parse().expect("an address"));
        set_forwarded(&mut headers, &Origin { peer: &peer, peer_is_trusted, tls: false });
        headers
    }

    #[test]
    fn the_upstream_learns_who_asked_and_how() {
        let headers = forwarded(false, &[("host", "api.example.com")]);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.1");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-host"], "api.example.com");
    }

    #[test]
    fn a_trusted_proxys_word_is_continued_in_one_line() {
        let headers = forwarded(
            true,
            &[
                ("host", "inner"),
                ("x-forwarded-for", "203.0.113.9"),
                ("x-forwarded-for", "10.0.0.2"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "api.example.com"),
            ],
        );
        let chain: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        assert_eq!(chain, ["203.0.113.9, 10.0.0.2, 192.0.2.1"]);
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "api.example.com");
    }

    #[test]
    fn every_address_is_a_header_value() {
        for address in ["192.0.2.1", "2001:db8::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
            let parsed: IpAddr = address.parse().expect("an address");
            assert_eq!(address_value(parsed), address);
        }
    }
}
