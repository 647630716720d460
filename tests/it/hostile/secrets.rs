//! Secrets that are sent everywhere and must be found nowhere.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use http::Method;

use super::arena::Arena;
use super::canaries::{self, alarm, canary, sing};
use super::recorder::{Recorder, find};
use crate::support::gateway::{Gateway, Plan, SECRET_KEY};

/// What has not come by now does not come.
const PATIENCE: Duration = Duration::from_secs(15);

/// The length of `""`.
const EMPTY: usize = 2;

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

/// What a webhook was told, once it knows of both alarms.
async fn told(webhook: &Recorder) -> Vec<u8> {
    let mut told = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while ["brute_force", "revoked_key_used"]
        .iter()
        .any(|kind| find(&told, kind.as_bytes()).is_none())
    {
        assert!(Instant::now() < deadline, "it is told {}", told.escape_ascii());
        tokio::time::sleep(Duration::from_millis(50)).await;
        told.extend(webhook.take());
    }
    told
}

/// The JWT that an upstream was sent: it speaks for a user for as long as it holds.
fn assertion(arrived: &[u8]) -> String {
    let text = String::from_utf8_lossy(arrived);
    let mut lines = text.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(name, _)| name.eq_ignore_ascii_case("x-gatepost-assertion"));
    found.expect("an assertion").1.to_owned()
}

/// Everything that administrators can read.
async fn shown(gateway: &Gateway) -> Vec<(&'static str, String)> {
    let mut shown = Vec::new();
    for path in [
        "/api/v1/admin/config",
        "/api/v1/admin/diagnostics",
        "/api/v1/admin/users",
        "/api/v1/admin/api-keys",
        "/api/v1/admin/blocks",
        "/api/v1/admin/logs?kind=security",
        "/api/v1/admin/logs/export?kind=usage",
        "/api/v1/admin/logs/export?kind=audit",
        "/api/v1/admin/logs/export?kind=security",
        "/api/v1/admin/logs/export?kind=security&format=csv",
    ] {
        let deadline = Instant::now() + PATIENCE;
        let mut answer = gateway.administer(Method::GET, path, None).await.to_string();
        // What was used is listed once it is in the store.
        while answer.len() <= EMPTY {
            assert!(Instant::now() < deadline, "{path} shows nothing");
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = gateway.administer(Method::GET, path, None).await.to_string();
        }
        shown.push((path, answer));
    }
    shown
}

#[tokio::test]
async fn what_is_secret_is_found_nowhere() {
    let webhook = Recorder::start().await;
    let arena = canaries::arena(&webhook).await;
    let gateway = &arena.gateway;
    let heard = sing(&arena).await;
    let revoked = alarm(gateway).await;

    let mut secrets: Vec<String> = (0..canaries::COUNT).map(canary).collect();
    secrets.extend([&arena.key, gateway.admin(), &revoked].map(|key| key.text.clone()));
    secrets.extend([assertion(&arena.recorder.take()), SECRET_KEY.into()]);
    let readme = include_str!("../../../README.md");
    assert_eq!(secrets.len(), 18);
    assert!(readme.contains("eighteen secrets that are sent everywhere"), "it tells how many");

    assert_silent("what clients heard", &heard, &secrets);
    // The path is how a webhook is reached.
    let told =
        String::from_utf8_lossy(&told(&webhook).await).replace(&canaries::webhook_path(), "");
    assert_silent("what the webhook was told", told.as_bytes(), &secrets);
    for (path, answer) in shown(gateway).await {
        assert_silent(path, answer.as_bytes(), &secrets);
    }
    let metrics = gateway.client.get(format!("http://{}/metrics", gateway.management));
    let metrics = metrics.send().await.unwrap().bytes().await.unwrap();
    assert_silent("the metrics", &metrics, &secrets);
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", gateway.pid())).expect("it runs");
    assert_silent("the command line", &cmdline, &secrets);

    let Arena { mut gateway, .. } = arena;
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    assert!(gateway.log().contains("DEBUG"), "the log is not noisy: {}", gateway.log());
    for (place, bytes) in files(gateway.dir()) {
        assert_silent(&place, &bytes, &secrets);
    }
}

#[tokio::test]
async fn a_password_in_the_configuration_is_not_told() {
    let password = canary(0);
    for url in [
        format!("postgres://gate:{password}@127.0.0.1:1/gate"),
        format!("postgres://gate:{password}@127.0.0.1:1/gate?sslmode=nonsense"),
        format!("postgres://gate:{password}@127.0.0.1:port/gate"),
        format!("mysql://gate:{password}@127.0.0.1/gate"),
    ] {
        let gateway = Plan::new().on_postgres(&url).env("GATEPOST_LOG_FILTER", "trace");
        let mut gateway = gateway.spawn().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
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
