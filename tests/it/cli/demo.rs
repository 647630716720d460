use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};

use crate::support::gateway::{BINARY, free_ports};

struct Demo {
    process: Child,
    env: BTreeMap<String, String>,
    client: Client,
}

impl Demo {
    /// Starts a demo in `dir` and waits until it answers.
    async fn start(dir: &Path) -> Self {
        let [proxy, management] = free_ports().map(|addr| addr.to_string());
        let process = Command::new(BINARY)
            .args(["demo", "--proxy", &proxy, "--management", &management, "--data"])
            .arg(dir)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(dir.join("stdout")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut demo = Self { process, env: BTreeMap::new(), client: Client::new() };
        let deadline = Instant::now() + Duration::from_secs(30);
        let ready = format!("http://{management}/readyz");
        while !matches!(demo.client.get(&ready).send().await, Ok(r) if r.status() == 200) {
            assert!(Instant::now() < deadline, "the demo does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let text = std::fs::read_to_string(dir.join("demo.env")).expect("written before ready");
        demo.env = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert!(demo.env["PROXY"].ends_with(&proxy), "{text}");
        demo
    }

    async fn ask(&self, method: Method, path: &str, key: Option<&str>) -> StatusCode {
        let mut request = self.client.request(method, format!("{}{path}", self.env["PROXY"]));
        if let Some(key) = key {
            request = request.header("x-api-key", self.env.get(key).map_or(key, String::as_str));
        }
        request.send().await.expect("the demo answers").status()
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(self.process.id() as i32).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const ORDERS: &str = "/api/v1/orders";

#[tokio::test]
async fn the_demo_shows_the_five_lines_and_finds_its_data_again() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Demo::start(dir.path()).await;
    assert_eq!(demo.ask(Method::GET, ORDERS, None).await, 401);
    assert_eq!(demo.ask(Method::GET, ORDERS, Some("wrong")).await, 401);
    assert_eq!(demo.ask(Method::GET, ORDERS, Some("READER_KEY")).await, 200);
    assert_eq!(demo.ask(Method::DELETE, "/api/v1/orders/1", Some("READER_KEY")).await, 403);
    assert_eq!(demo.ask(Method::DELETE, "/api/v1/orders/1", Some("ADMIN_KEY")).await, 200);

    let printed = std::fs::read_to_string(dir.path().join("stdout")).unwrap();
    assert_eq!(printed.matches("curl ").count(), 5, "{printed}");
    for name in ["ADMIN_KEY", "READER_KEY", "DEVELOPER_KEY"] {
        assert!(printed.contains(&demo.env[name]), "{name} is shown");
    }
    let mode = std::fs::metadata(dir.path().join("demo.env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let keys = demo.env.clone();
    demo.stop();

    let again = Demo::start(dir.path()).await;
    assert_eq!(again.env["ADMIN_KEY"], keys["ADMIN_KEY"], "the second run has the same keys");
    assert_eq!(again.ask(Method::GET, ORDERS, Some("READER_KEY")).await, 200);
    again.stop();
}

#[tokio::test]
async fn the_demo_covers_the_original_service() {
    let dir = tempfile::tempdir().unwrap();
    let demo = Demo::start(dir.path()).await;
    for (path, anonymous, reader, developer, admin) in [
        ("/health", 200, 200, 200, 200),
        ("/status", 200, 200, 200, 200),
        ("/api/v1/profile", 401, 200, 200, 200),
        ("/api/v1/orders", 401, 200, 200, 200),
        ("/api/v1/orders/2", 401, 200, 200, 200),
        ("/api/v1/api-keys", 401, 403, 200, 200),
        ("/api/v1/users", 401, 403, 403, 200),
        ("/api/v1/users/1", 401, 403, 403, 200),
        ("/api/v1/admin/users", 401, 403, 403, 200),
        ("/api/v1/admin/roles", 401, 403, 403, 200),
        ("/api/v1/admin/nothing-here", 401, 404, 404, 404),
        ("/nothing-here", 404, 404, 404, 404),
    ] {
        let keys = [None, Some("READER_KEY"), Some("DEVELOPER_KEY"), Some("ADMIN_KEY")];
        for (key, wanted) in keys.into_iter().zip([anonymous, reader, developer, admin]) {
            let status = demo.ask(Method::GET, path, key).await;
            assert_eq!(status, wanted, "{path} with {key:?}");
        }
    }
    assert_eq!(demo.ask(Method::DELETE, "/api/v1/users/1", Some("DEVELOPER_KEY")).await, 403);
    assert_eq!(demo.ask(Method::DELETE, "/api/v1/users/1", Some("ADMIN_KEY")).await, 200);
    demo.stop();
}
