//! The real program in front of a real upstream, as a test's own process.

mod callers;
mod plan;
mod wire;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::upstream::Upstream;

pub use callers::{code, uuid};
pub use plan::{Plan, ROUTES, free_ports};
pub use wire::read_quiet;

pub const BINARY: &str = env!("CARGO_BIN_EXE_gatepost");

/// Shared by every node of one installation in the tests.
pub const SECRET_KEY: &str = "2f6b1c9e84d07a35b8e1f4029c7d6a5031e8b7f2c4d90a61";

/// A key as its owner has it.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: Uuid,
    pub user_id: Uuid,
    pub lookup_id: String,
    pub text: String,
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

    /// The value of one series, or of all of one name together; 0 when there is none.
    pub async fn metric(&self, series: &str) -> f64 {
        let url = format!("http://{}/metrics", self.management);
        let text = self.client.get(url).send().await.expect("metrics").text().await.expect("text");
        let value = |line: &str| -> Option<f64> {
            line.strip_prefix(series)?.strip_prefix([' ', '{'])?.rsplit(' ').next()?.parse().ok()
        };
        text.lines().filter_map(value).sum()
    }

    /// Waits until a series counts so many: what is counted of a request, is when its answer has
    /// left.
    pub async fn counts(&self, series: &str, wanted: f64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.metric(series).await < wanted {
            assert!(Instant::now() < deadline, "{series} is never {wanted}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
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
