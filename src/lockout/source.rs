use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where requests come from, as far as one can hold somebody to it: an IPv4 address, or the /64 of
/// an IPv6 address, which is what one subscriber gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    V4(Ipv4Addr),
    /// The upper half of the address.
    V6(u64),
}

impl Source {
    pub fn of(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }

    /// What [`Display`](fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix("/64") {
            Some(network) => {
                network.parse::<Ipv6Addr>().ok().map(|address| Self::of(address.into()))
            }
            None => text.parse().ok().map(Self::V4),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(upper) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*upper) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_subscriber_is_one_source() {
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn it_comes_back_as_it_was_written() {
        for source in [of("192.0.2.1"), of("2001:db8:1:2::1"), of("::1")] {
            assert_eq!(Source::parse(&source.to_string()), Some(source));
        }
        assert_eq!(of("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_eq!(Source::parse("2001:db8::1"), None);
    }
}
