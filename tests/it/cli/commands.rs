use std::process::{Command, Output};

use reqwest::StatusCode;

use crate::support::gateway::{BINARY, Plan, SECRET_KEY};
use crate::support::postgres::TestDatabase;

fn gatepost(words: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(words).env_clear().env("SECRET_KEY", SECRET_KEY);
    command.output().expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// A configuration on `store`, in a folder of its own.
fn config(store: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gatepost.toml");
    let text = format!(
        "[proxy]\nlisten = [\"127.0.0.1:1\"]\n[store]\nurl = \"{store}\"\nmigrate_on_start = \
         false\n[upstreams.a]\nservers = [\"127.0.0.1:2\"]\n[[routes]]\nname = \"r\"\npath = \
         \"/orders/{{id}}\"\nmethods = [\"GET\"]\nrequire = [\"orders:read\"]\nupstream = \"a\"\n"
    );
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

#[test]
fn version_help_completions_and_usage() {
    let version = gatepost(&["--version"]);
    assert_eq!(stdout(&version), format!("gatepost {}\n", env!("CARGO_PKG_VERSION")));
    assert!(stdout(&gatepost(&["--help"])).contains("Exit codes"));
    for shell in ["bash", "zsh", "fish"] {
        let script = gatepost(&["completions", shell]);
        assert!(script.status.success() && stdout(&script).contains("gatepost"), "{shell}");
    }
    assert_eq!(gatepost(&["nonsense"]).status.code(), Some(2));
    assert_eq!(gatepost(&["serve"]).status.code(), Some(2));
}

#[test]
fn check_and_explain_have_the_exit_codes_of_their_verdicts() {
    let (_dir, path) = config("sqlite://gatepost.db");
    let check = gatepost(&["check", "--config", &path]);
    assert_eq!(check.status.code(), Some(0), "{}{}", stdout(&check), stderr(&check));
    assert!(stdout(&check).contains("/orders/{id}"));

    let explain = |words: &[&str]| {
        let output = gatepost(&[&["explain", "--config", &path], words].concat());
        (output.status.code(), stdout(&output))
    };
    let (exit, text) = explain(&["GET", "/orders/7", "--permission", "orders:read"]);
    assert_eq!(exit, Some(0), "{text}");
    let (exit, text) = explain(&["GET", "/orders/7", "--permission", "orders:write"]);
    assert_eq!(exit, Some(7));
    assert!(text.contains("insufficient_permissions"), "{text}");
    let (exit, text) = explain(&["GET", "/orders/7"]);
    assert_eq!(exit, Some(7));
    assert!(text.contains("missing_key"), "{text}");
    let (exit, text) = explain(&["GET", "/orders/../x"]);
    assert_eq!(exit, Some(7));
    assert!(text.contains("invalid_request"), "{text}");
}

#[test]
fn an_invalid_configuration_is_three_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gatepost.toml");
    std::fs::write(&path, "[proxy]\nlissten = []\n").unwrap();
    let path = path.to_str().unwrap();
    for words in [
        &["check", "--config", path][..],
        &["serve", "--config", path],
        &["migrate", "--config", path, "status"],
        &["explain", "--config", path, "GET", "/"],
        &["bootstrap", "--config", path, "--email", "a@example.com"],
        &["check", "--config", "/nowhere/gatepost.toml"],
    ] {
        let output = gatepost(words);
        let said = stdout(&output) + &stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {said}");
        assert!(!said.is_empty());
    }
}

async fn migrations(store: &str) {
    let (_dir, path) = config(store);
    let migrate = |action: &str| {
        let output = gatepost(&["migrate", "--config", &path, action]);
        (output.status.code(), stdout(&output) + &stderr(&output))
    };
    let (exit, said) = migrate("status");
    assert_eq!(exit, Some(6), "{said}");
    let (exit, said) = migrate("up");
    assert_eq!(exit, Some(0), "{said}");
    let (exit, said) = migrate("status");
    assert_eq!(exit, Some(0), "{said}");
    let (exit, said) = migrate("down");
    assert_eq!(exit, Some(0), "{said}");
    let (exit, said) = migrate("status");
    assert_eq!(exit, Some(6), "{said}");
    let (exit, said) = migrate("up");
    assert_eq!(exit, Some(0), "{said}");

    let bootstrap = |more: &[&str]| {
        gatepost(&[&["bootstrap", "--config", &path, "--email", "a@example.com"], more].concat())
    };
    let first = bootstrap(&[]);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let key = stdout(&first);
    assert!(key.starts_with("gp_live_") && key.ends_with('\n') && key.lines().count() == 1);
    assert!(!stderr(&first).contains(key.trim()), "the key is on stdout alone");
    let second = bootstrap(&[]);
    assert_eq!(second.status.code(), Some(1));
    assert!(stdout(&second).is_empty());
    assert!(stderr(&second).contains("--again"));
}

#[tokio::test]
async fn migrate_and_bootstrap_on_sqlite() {
    migrations("sqlite://gatepost.db").await;
}

#[tokio::test]
async fn migrate_and_bootstrap_on_postgres() {
    let database = TestDatabase::empty().await;
    migrations(&database.url()).await;
}

#[test]
fn a_store_that_is_not_there_is_five() {
    let (_dir, path) = config("postgres://nobody@127.0.0.1:1/nothing");
    let output = gatepost(&["migrate", "--config", &path, "status"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let output = gatepost(&["bootstrap", "--config", &path, "--email", "a@example.com"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
}

#[test]
fn postgres_needs_a_secret_that_is_one() {
    let (_dir, path) = config("postgres://nobody@127.0.0.1:1/nothing");
    for secret in [None, Some("short"), Some("changeme-changeme-changeme-changeme-0123456789")] {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--config", &path]).env_clear();
        if let Some(secret) = secret {
            command.env("SECRET_KEY", secret);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{secret:?}");
        let said = stderr(&output);
        assert!(said.contains("SECRET_KEY"), "{said}");
        assert!(secret.is_none_or(|secret| !said.contains(secret)), "it shows the secret");
    }
}

#[tokio::test]
async fn a_node_with_another_secret_does_not_start() {
    let database = TestDatabase::new().await;
    let gateway = Plan::new().on_postgres(&database.url()).start().await;
    let output = Command::new(BINARY)
        .args(["serve", "--config"])
        .arg(gateway.dir().join("gatepost.toml"))
        .env_clear()
        .env("SECRET_KEY", SECRET_KEY.chars().rev().collect::<String>())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("SECRET_KEY"), "{}", stderr(&output));
}

#[tokio::test]
async fn healthcheck_tells_alive_from_dead() {
    let mut gateway = crate::support::gateway::Gateway::start().await;
    let server = format!("http://{}", gateway.management);
    assert_eq!(gatepost(&["healthcheck", "--server", &server]).status.code(), Some(0));
    gateway.terminate().await;
    assert_eq!(gatepost(&["healthcheck", "--server", &server]).status.code(), Some(1));
}

#[tokio::test]
async fn a_second_serving_process_on_one_sqlite_file_is_refused() {
    let gateway = crate::support::gateway::Gateway::start().await;
    let output = gateway.command(&["serve"]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("another gatepost serves"), "{}", stderr(&output));
    let key = gateway.admin();
    assert_eq!(gateway.status("/api/v1/orders", key).await, StatusCode::OK, "the first goes on");
}
