//! How a gateway is started.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use super::{Gateway, SECRET_KEY};
use crate::support::upstream::Upstream;

/// The routes that most stories need; `{upstream}` and so on are filled in.
pub const ROUTES: &str = r#"
[[routes]]
name = "orders"
path = "/api/v1/orders"
methods = ["GET", "POST"]
require = ["orders:read"]
upstream = "sample"

[[routes]]
name = "order"
path = "/api/v1/orders/{id}"
methods = ["GET"]
require = ["orders:read"]
upstream = "sample"

[[routes]]
name = "order-delete"
path = "/api/v1/orders/{id}"
methods = ["DELETE"]
require = ["orders:delete"]
upstream = "sample"

[[routes]]
name = "files"
path = "/files/{*rest}"
require = []
upstream = "sample"

[[routes]]
name = "health"
path = "/health"
methods = ["GET"]
public = true
upstream = "sample"

[[routes]]
name = "profile"
path = "/api/v1/profile"
methods = ["GET"]
require = []
upstream = "management"
"#;

/// How a gateway is to be started.
pub struct Plan {
    store: Option<String>,
    listener: String,
    routes: String,
    extra: String,
    env: Vec<(String, String)>,
    inside: Vec<String>,
}

impl Plan {
    /// With SQLite, unless told otherwise.
    pub fn new() -> Self {
        Self {
            store: None,
            listener: "\"{proxy}\"".into(),
            routes: ROUTES.into(),
            extra: String::new(),
            env: vec![("SECRET_KEY".into(), SECRET_KEY.into())],
            inside: Vec::new(),
        }
    }

    pub fn on_postgres(mut self, url: &str) -> Self {
        self.store = Some(url.into());
        self
    }

    /// How the proxy listens on the address `{proxy}`.
    pub fn listener(mut self, listener: &str) -> Self {
        self.listener = listener.into();
        self
    }

    pub fn routes(mut self, routes: &str) -> Self {
        self.routes = routes.into();
        self
    }

    pub fn and_routes(mut self, routes: &str) -> Self {
        self.routes.push_str(routes);
        self
    }

    /// Further sections, or keys of `[proxy]` when they come first.
    pub fn extra(mut self, extra: &str) -> Self {
        self.extra.push_str(extra);
        self
    }

    /// With the secret that the embedded store makes for itself.
    pub fn without_secret(mut self) -> Self {
        self.env.retain(|(name, _)| name != "SECRET_KEY");
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Started by a command that makes its surroundings and ends in it.
    pub fn inside(mut self, command: Vec<String>) -> Self {
        self.inside = command;
        self
    }

    /// Starts it, makes the first admin, and waits until it is ready.
    pub async fn start(self) -> Gateway {
        let mut gateway = self.spawn().await;
        gateway.bootstrap().await;
        gateway.ready().await;
        gateway
    }

    /// Starts another node beside `first`, on its store.
    pub async fn start_beside(self, first: &Gateway) -> Gateway {
        let mut gateway = self.spawn_with(first.upstream.clone()).await;
        gateway.admin = first.admin.clone();
        gateway.ready().await;
        gateway
    }

    /// Starts the process and no more.
    pub async fn spawn(self) -> Gateway {
        let upstream = Upstream::start().await;
        self.spawn_with(upstream).await
    }

    async fn spawn_with(self, upstream: Upstream) -> Gateway {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let config = dir.path().join("gatepost.toml");
        let [proxy, management] = free_ports();
        let store = self.store.unwrap_or_else(|| "sqlite://gatepost.db".into());
        let text = format!(
            "[proxy]\nlisten = [{listener}]\n{proxy_extra}\n[management]\nlisten = \
             \"{management}\"\n\n[store]\nurl = \"{store}\"\n\n[upstreams.sample]\nservers = \
             [\"{upstream}\"]\n{routes}\n{extra}\n",
            listener = self.listener.replace("{proxy}", &proxy.to_string()),
            proxy_extra = self.extra.split("\n[").next().unwrap_or_default(),
            upstream = upstream.addr,
            routes = self.routes,
            extra = self.extra.find("\n[").map_or("", |at| &self.extra[at..]),
        );
        std::fs::write(&config, text).expect("the folder is writable");
        let mut gateway = Gateway {
            process: None,
            proxy,
            management,
            upstream,
            admin: None,
            client: reqwest::Client::new(),
            config,
            env: self.env,
            inside: self.inside,
            dir,
        };
        gateway.run();
        gateway
    }
}

/// Two ports that nobody listens on, below those that the system gives to connections, so that
/// none is taken before a gateway listens on it.
pub fn free_ports() -> [SocketAddr; 2] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let free = || loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) + (std::process::id() % 4_000) as u16 * 3;
        let addr = SocketAddr::from(([127, 0, 0, 1], 20_000 + step % 12_000));
        if std::net::TcpListener::bind(addr).is_ok() {
            return addr;
        }
    };
    [free(), free()]
}
