use std::net::Ipv6Addr;

/// An exact host name, lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPattern(Box<str>);

impl HostPattern {
    pub fn parse(text: &str) -> Option<Self> {
        is_host(text).then(|| Self(text.to_ascii_lowercase().into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The host of `host[:port]`, as it was written. Anything looser (user names, escapes, an empty
/// port, a dot at the end) is nothing that two parsers would have to agree on.
pub fn host_of(authority: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(authority).ok()?;
    let end_of_address = if text.starts_with('[') { text.find(']')? } else { 0 };
    let (host, port) = match memchr::memchr(b':', &text.as_bytes()[end_of_address..]) {
        Some(colon) => {
            let (host, port) = text.split_at(end_of_address + colon);
            (host, Some(&port[1..]))
        }
        None => (text, None),
    };
    (is_host(host) && port.is_none_or(is_port)).then_some(host)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => text.len() <= 253 && text.as_bytes().split(|&b| b == b'.').all(is_label),
    }
}

/// The underscore is in no host name by the book, and in many by the container.
fn is_label(text: &[u8]) -> bool {
    (1..=63).contains(&text.len())
        && text.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_a_port() {
        for (authority, host) in [
            ("api.example.com", "api.example.com"),
            ("API.example.com:443", "API.example.com"),
            ("localhost:8080", "localhost"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:8080", "[::1]"),
            ("orders_api", "orders_api"),
        ] {
            assert_eq!(host_of(authority.as_bytes()), Some(host));
        }
    }

    #[test]
    fn anything_else_is_no_host() {
        for authority in [
            "",
            ":80",
            "a:",
            "a:b",
            "a:+1",
            "a:99999",
            "a:1:2",
            "a b",
            "a,b",
            "user@a",
            "a/b",
            "a..b",
            ".a",
            "a.",
            "::1",
            "[::1",
            "[::1]x",
            "[::1%25eth0]",
            "[]",
            "a%2eb",
            "a\0",
            "é.example",
            "a#b",
            "a?b",
            "a\\b",
        ] {
            assert_eq!(host_of(authority.as_bytes()), None, "{authority:?}");
        }
        assert_eq!(host_of(&[0xff]), None);
    }

    #[test]
    fn a_pattern_is_a_host_in_lower_case_without_a_port() {
        assert_eq!(HostPattern::parse("API.Example.com").unwrap().as_str(), "api.example.com");
        assert_eq!(HostPattern::parse("a:80"), None);
        assert_eq!(HostPattern::parse("*.example.com"), None);
    }
}
