//! The servers behind the gateway, by the name of their upstream.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use foldhash::fast::FixedState;
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use pingora::lb::discovery::ServiceDiscovery;
use pingora::lb::health_check::HttpHealthCheck;
use pingora::lb::selection::{BackendIter, BackendSelection, Consistent, RoundRobin};
use pingora::lb::{Backend, Backends, Extensions, LoadBalancer};
use pingora::protocols::l4::socket::SocketAddr as Address;
use pingora::services::ServiceWithDependents;
use pingora::services::background::GenBackgroundService;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};

use crate::config::{Balance, HealthCheck, IdentityHeader, Server, Upstream as Settings};

/// How often names are resolved again.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);

/// Servers that are looked at before an upstream counts as having none that is well.
const MAX_CANDIDATES: usize = 256;

/// A server that fails this often in a row gets no requests until it answers again.
const FAILURES_TO_LEAVE: usize = 2;

pub struct Upstreams(HashMap<Box<str>, Upstream, FixedState>);

impl Upstreams {
    /// The upstreams, and what has to run beside them: resolving names and checking health. They
    /// serve once these have run for the first time.
    pub fn new(settings: Vec<Settings>) -> Result<(Self, Vec<Box<dyn ServiceWithDependents>>)> {
        let mut upstreams = HashMap::default();
        let mut background = Vec::new();
        for settings in settings {
            let (upstream, service) = Upstream::new(&settings)?;
            background.extend(service);
            upstreams.insert(settings.name, upstream);
        }
        Ok((Self(upstreams), background))
    }

    pub fn get(&self, name: &str) -> Option<&Upstream> {
        self.0.get(name)
    }
}

pub struct Upstream {
    balancer: Balancer,
    pub identity: Box<[IdentityHeader]>,
    /// Whether a second attempt can go somewhere else.
    pub has_alternatives: bool,
}

enum Balancer {
    /// One server with a fixed address: nothing to choose.
    Single(Box<HttpPeer>),
    RoundRobin(Arc<LoadBalancer<RoundRobin>>),
    ClientIpHash(Arc<LoadBalancer<Consistent>>),
}

type Service = Box<dyn ServiceWithDependents>;

impl Upstream {
    fn new(settings: &Settings) -> Result<(Self, Option<Service>)> {
        let (balancer, service) = match (settings.balance, fixed_peer(settings)) {
            (_, Some(peer)) => (Balancer::Single(Box::new(peer)), None),
            (Balance::RoundRobin, None) => {
                let (balancer, service) = balance(settings)?;
                (Balancer::RoundRobin(balancer), Some(service))
            }
            (Balance::ClientIpHash, None) => {
                let (balancer, service) = balance(settings)?;
                (Balancer::ClientIpHash(balancer), Some(service))
            }
        };
        let upstream = Self {
            balancer,
            identity: settings.identity.clone().into(),
            has_alternatives: settings.servers.len() > 1,
        };
        Ok((upstream, service))
    }

    /// A server for a request of `client`, which is not `unreachable`.
    pub fn choose(&self, client: IpAddr, unreachable: Option<&Address>) -> Option<Box<HttpPeer>> {
        let fits = |backend: &Backend, well: bool| well && Some(&backend.addr) != unreachable;
        let backend = match &self.balancer {
            Balancer::Single(peer) => return Some(peer.clone()),
            Balancer::RoundRobin(servers) => servers.select_with(b"", MAX_CANDIDATES, fits)?,
            Balancer::ClientIpHash(servers) => {
                let key = match client {
                    IpAddr::V4(address) => address.to_ipv6_mapped(),
                    IpAddr::V6(address) => address,
                };
                servers.select_with(&key.octets(), MAX_CANDIDATES, fits)?
            }
        };
        let peer: &Arc<HttpPeer> = backend.ext.get()?;
        Some(Box::new(HttpPeer::clone(peer)))
    }
}

/// The only server, if its address never changes and nobody asks how it is.
fn fixed_peer(settings: &Settings) -> Option<HttpPeer> {
    match &settings.servers[..] {
        [server] if settings.health_check.is_none() => {
            Some(peer(server, server.addr.parse().ok()?, settings))
        }
        _ => None,
    }
}

fn balance<S>(settings: &Settings) -> Result<(Arc<LoadBalancer<S>>, Service)>
where
    S: BackendSelection + Send + Sync + 'static,
    S::Iter: BackendIter,
{
    let names = settings.servers.iter().any(|server| server.addr.parse::<SocketAddr>().is_err());
    let servers = Servers { settings: settings.clone(), known: Mutex::default() };
    let mut balancer = LoadBalancer::<S>::from_backends(Backends::new(Box::new(servers)));
    balancer.update_frequency = names.then_some(RESOLVE_EVERY);
    if let (Some(check), Some(server)) = (&settings.health_check, settings.servers.first()) {
        balancer.set_health_check(Box::new(health_check(check, server, settings)?));
        balancer.health_check_frequency = Some(check.every);
        balancer.parallel_health_check = true;
    }
    let balancer = Arc::new(balancer);
    let name = format!("upstream {}", settings.name);
    Ok((Arc::clone(&balancer), Box::new(GenBackgroundService::new(name, balancer))))
}

/// Where the servers of one upstream are.
struct Servers {
    settings: Settings,
    /// The addresses last found for each server: a name server that is away takes none away.
    known: Mutex<HashMap<usize, Vec<SocketAddr>>>,
}

#[async_trait]
impl ServiceDiscovery for Servers {
    async fn discover(&self) -> Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let mut backends = BTreeSet::new();
        for (index, server) in self.settings.servers.iter().enumerate() {
            for address in self.resolve(index, server).await {
                backends.insert(backend(server, address, &self.settings));
            }
        }
        if backends.is_empty() {
            return Error::e_explain(ErrorType::ConnectNoRoute, "no server has an address");
        }
        Ok((backends, HashMap::new()))
    }
}

impl Servers {
    async fn resolve(&self, index: usize, server: &Server) -> Vec<SocketAddr> {
        match tokio::net::lookup_host(&server.addr).await {
            Ok(found) => {
                let found: Vec<SocketAddr> = found.collect();
                self.known.lock().insert(index, found.clone());
                found
            }
            Err(error) => {
                tracing::warn!(
                    target: "gatepost::proxy",
                    upstream = %self.settings.name, server = %server.addr, %error,
                    "the server's name cannot be resolved"
                );
                self.known.lock().get(&index).cloned().unwrap_or_default()
            }
        }
    }
}

fn backend(server: &Server, address: SocketAddr, settings: &Settings) -> Backend {
    let mut ext = Extensions::new();
    ext.insert(Arc::new(peer(server, address, settings)));
    Backend { addr: Address::Inet(address), weight: server.weight, ext }
}

fn peer(server: &Server, address: SocketAddr, settings: &Settings) -> HttpPeer {
    let mut peer = HttpPeer::new(address, server.tls, server_name(server));
    peer.options.connection_timeout = Some(settings.connect_timeout);
    // With TLS this holds the handshake too.
    peer.options.total_connection_timeout = Some(settings.connect_timeout * 2);
    peer.options.read_timeout = Some(settings.read_timeout);
    peer.options.write_timeout = Some(settings.write_timeout);
    peer.options.idle_timeout = Some(settings.idle_timeout);
    peer
}

/// The name a TLS server must prove: the one given, or the host it is reached by.
fn server_name(server: &Server) -> String {
    let host = server.addr.rsplit_once(':').map_or(&*server.addr, |(host, _)| host);
    server.sni.clone().unwrap_or_else(|| host.trim_matches(['[', ']']).to_owned())
}

/// The first server says how all of them are asked.
fn health_check(
    check: &HealthCheck,
    server: &Server,
    settings: &Settings,
) -> Result<HttpHealthCheck> {
    let name = server_name(server);
    let mut request = RequestHeader::build("GET", check.path.as_bytes(), Some(2))?;
    request.insert_header("Host", name.as_str())?;
    request.insert_header("User-Agent", "gatepost")?;
    let mut http = HttpHealthCheck::new(&name, server.tls);
    http.req = request;
    http.consecutive_failure = FAILURES_TO_LEAVE;
    http.peer_template.options.connection_timeout = Some(settings.connect_timeout);
    http.peer_template.options.read_timeout = Some(check.every.min(settings.read_timeout));
    http.validator = Some(Box::new(|response| match response.status.is_success() {
        true => Ok(()),
        false => Error::e_explain(ErrorType::InternalError, "the status is not 2xx"),
    }));
    Ok(http)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(addresses: &[&str], balance: Balance) -> Settings {
        let servers = addresses.iter().map(|addr| Server {
            addr: (*addr).to_owned(),
            weight: 1,
            tls: false,
            sni: None,
        });
        Settings {
            name: "orders".into(),
            servers: servers.collect(),
            balance,
            health_check: None,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(50),
            identity: Vec::new(),
        }
    }

    async fn ready(settings: Settings) -> Upstream {
        let (upstream, _) = Upstream::new(&settings).expect("the settings are valid");
        match &upstream.balancer {
            Balancer::Single(_) => {}
            Balancer::RoundRobin(servers) => servers.update().await.expect("fixed addresses"),
            Balancer::ClientIpHash(servers) => servers.update().await.expect("fixed addresses"),
        }
        upstream
    }

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const BOTH: &[&str] = &["127.0.0.1:3000", "127.0.0.1:3001"];

    fn address(
        upstream: &Upstream,
        client: IpAddr,
        unreachable: Option<&Address>,
    ) -> Option<String> {
        upstream.choose(client, unreachable).map(|peer| peer._address.to_string())
    }

    #[tokio::test]
    async fn one_fixed_server_is_always_chosen() {
        let upstream = ready(settings(&BOTH[..1], Balance::RoundRobin)).await;
        assert!(matches!(upstream.balancer, Balancer::Single(_)));
        assert_eq!(address(&upstream, CLIENT, None).as_deref(), Some("127.0.0.1:3000"));
        assert!(!upstream.has_alternatives);
    }

    #[tokio::test]
    async fn servers_take_turns() {
        let upstream = ready(settings(BOTH, Balance::RoundRobin)).await;
        let chosen: BTreeSet<_> = (0..2).filter_map(|_| address(&upstream, CLIENT, None)).collect();
        assert_eq!(chosen.len(), 2);
    }

    #[tokio::test]
    async fn a_client_stays_with_its_server() {
        let upstream = ready(settings(BOTH, Balance::ClientIpHash)).await;
        let first = address(&upstream, CLIENT, None);
        assert!(first.is_some());
        for _ in 0..8 {
            assert_eq!(address(&upstream, CLIENT, None), first);
        }
    }

    #[tokio::test]
    async fn a_second_attempt_goes_elsewhere() {
        for balance in [Balance::RoundRobin, Balance::ClientIpHash] {
            let upstream = ready(settings(BOTH, balance)).await;
            let first = upstream.choose(CLIENT, None).expect("both are well")._address;
            for _ in 0..4 {
                let second = upstream.choose(CLIENT, Some(&first)).expect("the other one is well");
                assert_ne!(second._address, first);
            }
        }
    }

    #[tokio::test]
    async fn a_name_is_resolved() {
        let upstream = ready(settings(&["localhost:3000"], Balance::RoundRobin)).await;
        let chosen = address(&upstream, CLIENT, None).expect("localhost has an address");
        assert!(chosen.ends_with(":3000"));
    }

    #[test]
    fn tls_is_checked_against_the_name_it_is_reached_by() {
        let server = |addr: &str, sni: Option<&str>| Server {
            addr: addr.into(),
            weight: 1,
            tls: true,
            sni: sni.map(Into::into),
        };
        assert_eq!(server_name(&server("orders.internal:443", None)), "orders.internal");
        assert_eq!(server_name(&server("[::1]:443", None)), "::1");
        assert_eq!(server_name(&server("10.0.0.1:443", Some("orders"))), "orders");
    }
}
