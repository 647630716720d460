use http::HeaderMap;
use http::header::HOST;

use crate::config::ManagementSettings;

/// The names that the listener answers to. A web page whose name was rebound to our address
/// arrives under its own name, and is told that it is at the wrong place.
#[derive(Debug)]
pub(super) struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    pub(super) fn new(settings: &ManagementSettings) -> Self {
        let mut names = settings.hosts.clone();
        names.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        let own = settings.listen.ip();
        if !own.is_unspecified() {
            names.push(if own.is_ipv6() { format!("[{own}]") } else { own.to_string() });
        }
        Self { names }
    }

    /// A request without one readable Host is let through to the gate, which says what is wrong
    /// with it.
    pub(super) fn accept(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
            return true;
        };
        let name = without_port(host);
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(host: &str) -> bool {
        let hosts = Hosts::new(&ManagementSettings {
            listen: "10.1.2.3:9090".parse().unwrap(),
            insecure: true,
            hosts: vec!["gate.example.com".into()],
        });
        hosts.accept(&HeaderMap::from_iter([(HOST, host.parse().unwrap())]))
    }

    #[test]
    fn own_names_are_accepted_with_any_port_and_case() {
        for host in [
            "gate.example.com",
            "GATE.example.com:9090",
            "localhost:1",
            "127.0.0.1:9090",
            "[::1]:9090",
            "[::1]",
            "10.1.2.3:9090",
        ] {
            assert!(accepts(host), "{host}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for host in
            ["evil.example", "gate.example.com.evil.example", "localhost.evil", "[::1].x", ":", ""]
        {
            assert!(!accepts(host), "{host}");
        }
    }

    #[test]
    fn an_address_that_means_all_addresses_is_nobodys_name() {
        let settings = ManagementSettings {
            listen: "0.0.0.0:9090".parse().unwrap(),
            insecure: true,
            hosts: Vec::new(),
        };
        let headers = HeaderMap::from_iter([(HOST, "0.0.0.0:9090".parse().unwrap())]);
        assert!(!Hosts::new(&settings).accept(&headers));
    }
}
