//! Secrets that are sent everywhere and must be found nowhere.

use std::io::Read;
use std::path::Path;

use http::Method;
use serde_json::json;

use super::arena::{Arena, statuses};
use super::connections::say_and_end;
use super::recorder::Recorder;
use crate::support::gateway::{Gateway, Plan};

/// Told apart from everything else, and from each other.
fn canary(n: usize) -> String {
    format!("c4n4ry{n:02}Zq8xW3vT6yB1nM5k")
}

/// Sends the canaries through every door, well-formed and not.
async fn sing(arena: &Arena, gateway: &Gateway) {
    let malformed = [
        format!("GET /files/a HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n broken\r\n\r\n", canary(0)),
        format!("GET /files/a HTTP/1.1\r\nX-API-Key {}\r\n\r\n", canary(0)),
        format!("GET /files/a HTTP/9.9\r\nX-API-Key: {}\r\n\r\n", canary(0)),
        format!(
            "POST /files/a HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nContent-Length: x\r\n\r\n",
            canary(0)
        ),
        format!("{}\r\n\r\n", canary(1)),
        format!("GET /files/a HTTP/1.1\r\nHost: {}@a\r\n\r\n", canary(1)),
    ];
    let formed = [
        ("X-API-Key", canary(2)),
        ("X-API-Key", format!("gp_live_0000000000000000_{}", canary(2))),
        ("Authorization", format!("Bearer {}", canary(3))),
        ("Authorization", format!("Bearer gp_{}", canary(3))),
        ("Cookie", format!("session={}", canary(4))),
        ("X-Gatepost-User-Id", canary(4)),
    ];
    let targets =
        [format!("/files/a?api_key={}", canary(5)), format!("/files/a?token={}&x=\"", canary(5))];
    for head in malformed {
        arena.say(head.as_bytes()).await.expect("an answer or the end");
    }
    for (name, value) in formed {
        for target in ["/files/a", "/public/a", "/nowhere", "/files/broken"] {
            let head = format!(
                "GET {target} HTTP/1.1\r\nHost: a\r\n{name}: {value}\r\nConnection: close\r\n\r\n"
            );
            arena.say(head.as_bytes()).await.expect("an answer");
        }
    }
    for target in targets {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        arena.say(head.as_bytes()).await.expect("an answer");
    }
    // A real key, good for everything, where something goes wrong behind it.
    for target in ["/files/a", "/files/broken", "/files/silent", "/admin"] {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nX-API-Key: {{K}}\r\nConnection: close\r\n\r\n"
        );
        let answer = arena.say(head.as_bytes()).await.expect("an answer");
        assert!(!statuses(&answer).is_empty());
    }
    let gone = "POST /files/a HTTP/1.1\r\nHost: a\r\nX-API-Key: {K}\r\nContent-Length: 9\r\n\r\n";
    say_and_end(gateway.proxy, &arena.with_key(gone.as_bytes())).await;
    let bodies = [
        json!({"name": "a key", "permissions": [canary(6)]}),
        json!({"password": canary(6)}),
        json!(canary(6)),
    ];
    for body in bodies {
        let path = "/api/v1/admin/api-keys";
        gateway.manage(Method::POST, path, gateway.admin(), Some(body)).await;
    }
    let mut wrong = gateway.admin().clone();
    wrong.text = canary(7);
    gateway.manage(Method::GET, "/api/v1/profile", &wrong, None).await;
}

fn script(target: &str) -> Vec<u8> {
    match target {
        "/files/broken" => format!("{}\r\n\r\n", canary(8)).into_bytes(),
        "/files/silent" => Vec::new(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
    }
}

/// Every file under `dir`, but the configuration, which holds what it was given.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != "gatepost.toml") {
            let mut bytes = Vec::new();
            let mut file = std::fs::File::open(&path).expect("it is readable");
            file.read_to_end(&mut bytes).expect("it is readable");
            found.push((path.display().to_string(), bytes));
        }
    }
    found
}

fn assert_silent(place: &str, bytes: &[u8], secrets: &[String]) {
    for secret in secrets {
        let found = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
        if let Some(at) = found {
            let from = at.saturating_sub(80);
            panic!("{secret} in {place}: {}", bytes[from..at + secret.len()].escape_ascii());
        }
    }
}

#[tokio::test]
async fn ten_canaries_are_found_nowhere() {
    let arena = Arena::noisy(Recorder::saying(script).await).await;
    let gateway = &arena.gateway;
    sing(&arena, gateway).await;

    let pid = gateway.pid();
    let mut secrets: Vec<String> = (0..9).map(canary).collect();
    secrets.push(arena.key.text.clone());
    secrets.push(gateway.admin().text.clone());
    let metrics = gateway.client.get(format!("http://{}/metrics", gateway.management));
    let metrics = metrics.send().await.unwrap().bytes().await.unwrap();
    assert_silent("the metrics", &metrics, &secrets);
    let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
    assert_silent("the command line", &cmdline, &secrets);

    let Arena { mut gateway, .. } = arena;
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    assert!(gateway.log().contains("DEBUG"), "the log is not noisy: {}", gateway.log());
    secrets.push(crate::support::gateway::SECRET_KEY.into());
    for (place, bytes) in files(gateway.dir()) {
        assert_silent(&place, &bytes, &secrets);
    }
}

#[tokio::test]
async fn a_password_in_the_configuration_is_not_told() {
    let password = canary(9);
    for url in [
        format!("postgres://gate:{password}@127.0.0.1:1/gate"),
        format!("postgres://gate:{password}@127.0.0.1:1/gate?sslmode=nonsense"),
        format!("postgres://gate:{password}@127.0.0.1:port/gate"),
        format!("mysql://gate:{password}@127.0.0.1/gate"),
    ] {
        let gateway = Plan::new().on_postgres(&url).env("GATEPOST_LOG_FILTER", "trace");
        let mut gateway = gateway.spawn().await;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        for command in [&["check"][..], &["migrate", "status"], &["bootstrap", "--email", "a@b.c"]]
        {
            let output = gateway.command(command);
            let said = [output.stdout, output.stderr].concat();
            assert_silent(&format!("{command:?}"), &said, std::slice::from_ref(&password));
        }
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_raw(gateway.pid() as i32).expect("a pid"),
            rustix::process::Signal::TERM,
        );
        gateway.ended().await;
        assert_silent("the log", gateway.log().as_bytes(), std::slice::from_ref(&password));
    }
}

#[tokio::test]
async fn no_core_holds_the_keys_in_memory() {
    // As much as this machine lets a process dump.
    let allowed = rustix::process::getrlimit(rustix::process::Resource::Core).maximum;
    let limit = rustix::process::Rlimit { current: allowed, maximum: allowed };
    rustix::process::setrlimit(rustix::process::Resource::Core, limit).unwrap();
    let gateway = Gateway::start().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}
