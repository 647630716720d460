//! The real program in front of a real upstream, as a test's own process.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::upstream::Upstream;

pub const BINARY: &str = env!("CARGO_BIN_EXE_gatepost");

/// Shared by every node of one installation in the tests.
pub const SECRET_KEY: &str = "2f6b1c9e84d07a35b8e1f4029c7d6a5031e8b7f2c4d90a61";

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

/// A key as its owner has it.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: Uuid,
    pub user_id: Uuid,
    pub lookup_id: String,
    pub text: String,
}

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

/// A running gateway. It is killed when the test forgets it.
pub struct Gateway {
    process: Option<Child>,
    pub proxy: SocketAddr,
    pub management: SocketAddr,
    pub upstream: Upstream,
    admin: Option<Key>,
    pub client: reqwest::Client,
    config: PathBuf,
    env: Vec<(String, String)>,
    inside: Vec<String>,
    dir: TempDir,
}

impl Gateway {
    /// With SQLite and the usual routes.
    pub async fn start() -> Self {
        Plan::new().start().await
    }

    /// Starts the process (again), on the same files and ports.
    pub fn run(&mut self) {
        let log = File::options().create(true).append(true).open(self.log_path());
        let log = log.expect("the folder is writable");
        let words = [&self.inside[..], &[BINARY.to_owned()]].concat();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args(["serve", "--config"])
            .arg(&self.config)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.process = Some(child);
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn configuration(&self) -> String {
        std::fs::read_to_string(&self.config).expect("it is there")
    }

    /// Puts another configuration in the place of the one it started with.
    pub fn configure(&self, text: &str) {
        std::fs::write(&self.config, text).expect("the folder is writable");
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("gatepost.log")
    }

    /// Everything it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until its log has `text`: lines are written beside the requests.
    pub async fn says(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "it never says {text:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Runs another command of the program on the same configuration.
    pub fn command(&self, words: &[&str]) -> std::process::Output {
        self.run_words(&words[..1], &words[1..])
    }

    /// The same for a command of more than one word.
    pub fn run_words(&self, command: &[&str], more: &[&str]) -> std::process::Output {
        Command::new(BINARY)
            .args(command)
            .arg("--config")
            .arg(&self.config)
            .args(more)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("the program starts")
    }

    async fn bootstrap(&mut self) {
        self.listening().await;
        let output = self.command(&["bootstrap", "--email", "root@example.com"]);
        let text = String::from_utf8(output.stdout).expect("a key is ASCII");
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "bootstrap: {problem}\n{}", self.log());
        let text = text.trim().to_owned();
        let key = Key { id: Uuid::nil(), user_id: Uuid::nil(), lookup_id: String::new(), text };
        self.admin = Some(key);
    }

    /// Waits until both listeners answer at all.
    pub async fn listening(&mut self) {
        self.until("/livez", StatusCode::OK).await;
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.proxy).await.is_err() {
            assert!(Instant::now() < deadline, "the proxy does not listen:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it is ready and knows its admin.
    pub async fn ready(&mut self) {
        self.until("/readyz", StatusCode::OK).await;
        if let Some(admin) = self.admin.clone() {
            let deadline = Instant::now() + Duration::from_secs(10);
            while self.manage(Method::GET, "/api/v1/profile", &admin, None).await.0
                != StatusCode::OK
            {
                assert!(Instant::now() < deadline, "the admin is not known:\n{}", self.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn until(&mut self, path: &str, wanted: StatusCode) {
        let url = format!("http://{}{path}", self.management);
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(response) = self.client.get(&url).send().await
                && response.status() == wanted
            {
                return;
            }
            if let Some(child) = &mut self.process
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!("the gateway ended with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "{path} is not {wanted}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn admin(&self) -> &Key {
        self.admin.as_ref().expect("the gateway is bootstrapped")
    }

    // ---- through the proxy ----

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.proxy))
    }

    pub async fn get(&self, path: &str, key: &Key) -> Response {
        self.send(Method::GET, path, key).await
    }

    pub async fn send(&self, method: Method, path: &str, key: &Key) -> Response {
        let request = self.request(method, path).header("x-api-key", &key.text);
        request.send().await.expect("the proxy answers")
    }

    pub async fn status(&self, path: &str, key: &Key) -> StatusCode {
        self.get(path, key).await.status()
    }

    /// Sends bytes as they are and returns what comes back until the connection closes or nothing
    /// more comes for a moment.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        raw(self.proxy, bytes).await
    }

    // ---- through the management listener ----

    pub async fn manage(
        &self,
        method: Method,
        path: &str,
        key: &Key,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self
            .client
            .request(method, format!("http://{}{path}", self.management))
            .header("x-api-key", &key.text);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("the management listener answers");
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// As the admin, and it must work.
    pub async fn administer(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.manage(method.clone(), path, self.admin(), body).await;
        assert!(status.is_success(), "{method} {path}: {status}: {answer}");
        answer
    }

    /// A new user who has exactly these permissions, with a key that has them too.
    pub async fn key(&self, permissions: &[&str]) -> Key {
        self.key_with(permissions, json!({})).await
    }

    /// The same, with further members of the key.
    pub async fn key_with(&self, permissions: &[&str], more: Value) -> Key {
        let user = self.user(permissions).await;
        self.key_of(user, permissions, more).await
    }

    /// A new user with a role of exactly these permissions.
    pub async fn user(&self, permissions: &[&str]) -> Uuid {
        let unique = Uuid::now_v7().simple().to_string();
        let role = format!("role-{unique}");
        let body = json!({"name": role, "permissions": permissions});
        self.administer(Method::POST, "/api/v1/admin/roles", Some(body)).await;
        let body = json!({"email": format!("{unique}@example.com"), "roles": [role]});
        let user = self.administer(Method::POST, "/api/v1/admin/users", Some(body)).await;
        uuid(&user["id"])
    }

    pub async fn key_of(&self, user: Uuid, permissions: &[&str], more: Value) -> Key {
        let mut body = json!({"name": "a key", "permissions": permissions});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let path = format!("/api/v1/admin/users/{user}/api-keys");
        let made = self.administer(Method::POST, &path, Some(body)).await;
        Key {
            id: uuid(&made["id"]),
            user_id: user,
            lookup_id: made["lookup_id"].as_str().expect("a lookup id").to_owned(),
            text: made["api_key"].as_str().expect("the key").to_owned(),
        }
    }

    pub async fn revoke(&self, key: &Key) {
        let path = format!("/api/v1/admin/api-keys/{}", key.id);
        self.administer(Method::DELETE, &path, None).await;
    }

    /// The value of one series, or of all of one name together; 0 when there is none.
    pub async fn metric(&self, series: &str) -> f64 {
        let url = format!("http://{}/metrics", self.management);
        let text = self.client.get(url).send().await.expect("metrics").text().await.expect("text");
        let value = |line: &str| -> Option<f64> {
            line.strip_prefix(series)?.strip_prefix([' ', '{'])?.rsplit(' ').next()?.parse().ok()
        };
        text.lines().filter_map(value).sum()
    }

    /// The word by which it says how it is.
    pub async fn health(&self) -> String {
        let url = format!("http://{}/readyz", self.management);
        let answer = self.client.get(url).send().await.expect("it answers");
        let body: Value = answer.json().await.expect("JSON");
        body["status"].as_str().expect("a word").to_owned()
    }

    /// Waits until it says that it is in this state.
    pub async fn is(&self, health: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.health().await != health {
            assert!(Instant::now() < deadline, "it is never {health}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    // ---- its end ----

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid() as i32).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// SIGTERM, and the exit status.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.ended().await
    }

    /// Waits for the process to end by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.process.take().expect("it runs");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends bytes as they are; see [`Gateway::raw`].
pub async fn raw(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    stream.write_all(bytes).await.expect("it reads");
    read_quiet(&mut stream).await
}

/// What comes until the end, or until nothing more comes for a moment after something came.
pub async fn read_quiet(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0u8; 8192];
    let mut patience = Duration::from_secs(5);
    while let Ok(Ok(n)) = tokio::time::timeout(patience, stream.read(&mut buffer)).await {
        if n == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..n]);
        patience = Duration::from_millis(150);
    }
    String::from_utf8_lossy(&answer).into_owned()
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

pub fn uuid(value: &Value) -> Uuid {
    value.as_str().and_then(|text| text.parse().ok()).expect("an id")
}

/// The problem's code, of a refusal.
pub async fn code(response: Response) -> String {
    let body: Value = response.json().await.expect("a problem in JSON");
    body["code"].as_str().expect("a code").to_owned()
}
