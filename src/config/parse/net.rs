use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;

use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::config::StoreUrl;
use crate::config::reader::Fault;
use crate::policy::HostPattern;

/// An address to listen on.
pub fn socket_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let fault = Fault::new("is not an address to listen on");
        if text.parse::<IpAddr>().is_ok() {
            fault.hint("add a port, for example 127.0.0.1:8080 or [::1]:8080")
        } else if text.starts_with(':') {
            fault.hint("write 0.0.0.0:PORT for all addresses, 127.0.0.1:PORT for this machine")
        } else if text.starts_with("localhost:") {
            fault.hint("write 127.0.0.1 for localhost")
        } else {
            fault.hint("an IP address and a port, for example 0.0.0.0:8080 or [::1]:8080")
        }
    })
}

/// A network in CIDR notation, written by its first address.
pub fn network(text: &str) -> Result<IpNet, Fault> {
    let Ok(network) = text.parse::<IpNet>() else {
        let fault = Fault::new("is not a network");
        return Err(match text.parse::<IpAddr>() {
            Ok(address) => {
                let one = IpNet::from(address);
                fault.hint(format!("for this one address write {one}"))
            }
            Err(_) => fault.hint("for example 10.0.0.0/8 or fd00::/8"),
        });
    };
    if network.trunc() != network {
        let fault = Fault::new("is an address inside a network");
        let (outer, one) = (network.trunc(), IpNet::from(network.addr()));
        return Err(fault.hint(format!("write {outer} for the network, {one} for the address")));
    }
    Ok(network)
}

/// `host:port` of an upstream's server.
pub fn server_address(text: &str) -> Result<String, Fault> {
    let fault = |hint: &str| Err(Fault::new("is not host:port").hint(hint));
    if text.starts_with("https://") {
        return fault("write { addr = \"HOST:443\", tls = true }");
    }
    if text.starts_with("http://") {
        return fault("leave `http://` out: HOST:PORT");
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return fault("add the port, for example 127.0.0.1:3000");
    };
    let is_port =
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse().is_ok_and(|p: u16| p > 0);
    if !is_port {
        return fault("the port is a number from 1 to 65535, for example 127.0.0.1:3000");
    }
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => Ok(text.to_owned()),
        None if is_host_name(host) => Ok(text.to_owned()),
        _ => fault("for example 127.0.0.1:3000, [::1]:3000 or orders.internal:3000"),
    }
}

/// The name that a server's certificate is checked against.
pub fn server_name(text: &str) -> Result<String, Fault> {
    if is_host_name(text) {
        Ok(text.to_owned())
    } else {
        Err(Fault::new("is not a host name").hint("for example orders.internal"))
    }
}

/// RFC 1123, with the underscore that container networks use.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// The host of a request, lower case, without a port.
pub fn host(text: &str) -> Result<HostPattern, Fault> {
    HostPattern::parse(text).ok_or_else(|| {
        let fault = Fault::new("is not a host name");
        if text.contains('*') {
            fault.hint("hosts are exact; leave `host` out for any")
        } else if text.contains(':') {
            fault.hint("leave the scheme and the port out, for example api.example.com")
        } else {
            fault.hint("lower case, for example api.example.com")
        }
    })
}

/// A store's address. A path is relative to `folder`, which is the configuration's.
///
/// The faults tell nothing of the text: it may hold a password.
pub fn store_url(text: &str, folder: &Path) -> Result<StoreUrl, Fault> {
    let hint =
        "sqlite://gatepost.db, sqlite:///var/lib/gatepost.db or postgres://user@host/database";
    if let Some(path) = text.strip_prefix("sqlite://") {
        return match path {
            "" => Err(Fault::new("names no file").hint("for example sqlite://gatepost.db")),
            _ if path.contains('?') => {
                Err(Fault::new("has options, which SQLite stores do not take")
                    .hint("leave out everything from the `?` on"))
            }
            _ if path.contains('\0') => Err(Fault::new("has a NUL byte in its path")),
            _ => Ok(StoreUrl::Sqlite(folder.join(path))),
        };
    }
    let postgres = ["postgres://", "postgresql://"].iter().find_map(|p| text.strip_prefix(p));
    match postgres {
        Some("") => Err(Fault::new("names no server").hint(hint)),
        Some(_) if text.contains(char::is_whitespace) => Err(Fault::new("has white space in it")
            .hint("percent-encode it, for example %20, and look for a stray line end")),
        Some(_) => Ok(StoreUrl::Postgres(text.to_owned().into())),
        None if text.starts_with("sqlite:") => {
            Err(Fault::new("is not a store's address")
                .hint("write two slashes: sqlite://gatepost.db"))
        }
        None => Err(Fault::new("is not a store's address").hint(hint)),
    }
}

/// The address of a Redis or Valkey server. The faults tell nothing of the text.
pub fn redis_url(text: &str) -> Result<Zeroizing<String>, Fault> {
    let fault = || Fault::new("is not the address of a Redis server");
    if text.starts_with("rediss://") {
        return Err(fault().hint("TLS is not available; use a private network or a tunnel"));
    }
    match text.starts_with("redis://") && redis::Client::open(text).is_ok() {
        true => Ok(text.to_owned().into()),
        false => {
            Err(fault().hint("for example redis://127.0.0.1:6379 or redis://:password@host/0"))
        }
    }
}

/// The password in a store's address, if there is one.
pub fn url_password(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let in_query = query.split('&').find_map(|pair| pair.strip_prefix("password="));
    let user_info = before_query.rsplit_once('@').map(|(user_info, _)| user_info);
    let in_user_info =
        user_info.and_then(|info| info.split_once(':')).map(|(_, password)| password);
    in_user_info.or(in_query).filter(|password| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses() {
        assert!(socket_address("0.0.0.0:8080").is_ok());
        assert!(socket_address("[::1]:8080").is_ok());
        let hint = |text| socket_address(text).unwrap_err().hint.unwrap();
        assert!(hint(":8080").contains("0.0.0.0:PORT"));
        assert!(hint("localhost:8080").contains("127.0.0.1"));
        assert!(hint("127.0.0.1").contains("add a port"));
        assert!(hint("127.0.0.1:99999").contains("a port"));
    }

    #[test]
    fn networks() {
        assert!(network("10.0.0.0/8").is_ok());
        assert!(network("::1/128").is_ok());
        let hint = |text| network(text).unwrap_err().hint.unwrap();
        assert!(hint("10.0.0.1").contains("10.0.0.1/32"));
        assert!(hint("10.0.0.1/8").contains("10.0.0.0/8"));
        assert!(hint("ten").contains("for example"));
    }

    #[test]
    fn server_addresses() {
        for right in ["127.0.0.1:3000", "[::1]:3000", "orders:80", "my_app.internal:65535"] {
            assert!(server_address(right).is_ok(), "{right}");
        }
        for wrong in
            ["", ":80", "orders", "orders:0", "orders:65536", "orders:+1", "::1:80", "a b:1"]
        {
            assert!(server_address(wrong).is_err(), "{wrong}");
        }
        let hint = |text| server_address(text).unwrap_err().hint.unwrap();
        assert!(hint("http://127.0.0.1:3000").contains("leave `http://` out"));
        assert!(hint("https://orders").contains("tls = true"));
    }

    #[test]
    fn store_addresses() {
        let folder = Path::new("/etc/gatepost");
        let path = |text| match store_url(text, folder) {
            Ok(StoreUrl::Sqlite(path)) => path,
            other => panic!("{other:?}"),
        };
        assert_eq!(path("sqlite://gatepost.db"), folder.join("gatepost.db"));
        assert_eq!(path("sqlite:///var/lib/gatepost.db"), Path::new("/var/lib/gatepost.db"));
        assert!(matches!(store_url("postgresql://db/x", folder), Ok(StoreUrl::Postgres(_))));
        for wrong in
            ["", "sqlite://", "sqlite:x.db", "sqlite://x?mode=ro", "mysql://db", "postgres://"]
        {
            let fault = store_url(wrong, folder).unwrap_err();
            assert!(fault.hint.is_some(), "{wrong}");
        }
    }

    #[test]
    fn passwords_are_found() {
        assert_eq!(url_password("postgres://app:secret@db/x"), Some("secret"));
        assert_eq!(url_password("postgres://db/x?user=a&password=secret"), Some("secret"));
        assert_eq!(url_password("postgres://app@db:5432/x"), None);
        assert_eq!(url_password("postgres://app:@db/x"), None);
        assert_eq!(url_password("sqlite://a.db"), None);
    }
}
