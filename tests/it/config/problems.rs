//! What is said about mistakes: each with its place and a hint, all of them in one run.

use gatepost::config::{Config, ConfigError, Environment};

use super::{BASE, File, MINIMAL};

const MANY_MISTAKES: &str = r#"[proxy]
listn = ["0.0.0.0:8080"]
trusted_proxies = ["10.0.0.1/8", "nginx"]
head_deadline = "10 s"
threads = "two"

[store]
url = "mysql://app:hunter2@db/app"

[upstreams.orders]
servers = ["http://127.0.0.1:3000"]
balance = "round robin"

[[routes]]
name = "orders-read"
path = "/orders/{id"
methods = ["GTE"]
requires = ["orders:read"]
upstream = "order"

[[routes]]
name = "orders-read"
path = "/orders"
require = ["orders:*"]
upstream = "orders"
public = true
max_body = "10MB"

[[tests]]
request = "GET /orders"
expect = "alow"

[cahce]
ttl = "10min"
"#;

#[test]
fn all_mistakes_are_told_in_one_run() {
    assert_eq!(File::new(MANY_MISTAKES).refused(), include_str!("many_mistakes.txt").trim_end());
}

#[test]
fn syntax_errors_do_not_hide_other_mistakes() {
    let text = r#"[proxy]
lis ten = ["0.0.0.0:8080"]

[store]
url = sqlite
pool = 0
"#;
    let told = File::new(text).refused();
    assert!(told.contains("gatepost.toml:2:5: error: "), "{told}");
    assert!(told.contains("gatepost.toml:5:7: error: "), "{told}");
    assert!(told.contains("gatepost.toml:6:8: error: `pool` must be between 1 and 1000"), "{told}");
    assert!(!told.contains("is missing"), "what is missing may be on a broken line: {told}");
}

#[test]
fn a_list_that_nobody_closed_is_one_mistake() {
    let told = File::new(MINIMAL.replace(":8080\"]", ":8080\"")).refused();
    assert_eq!(told.matches(": error: ").count(), 1, "{told}");
    assert!(told.contains("hint: or is the bracket before it not closed?"), "{told}");
}

#[test]
fn an_empty_file_lacks_the_four_required_things() {
    assert_eq!(
        File::new("").refused(),
        "gatepost.toml:1:1: error: `listen` is missing in [proxy]\n  \
           hint: for example listen = [\"0.0.0.0:8080\"]\n\
         gatepost.toml:1:1: error: `url` is missing in [store]\n  \
           hint: for example url = \"sqlite://gatepost.db\" or \"postgres://user@host/database\"\n\
         gatepost.toml:1:1: error: there is no upstream\n  \
           hint: for example [upstreams.orders] with servers = [\"127.0.0.1:3000\"]\n\
         gatepost.toml:1:1: error: there is no route\n  \
           hint: for example [[routes]] with name, path, require and upstream"
    );
}

/// Adds lines to the minimal file, under `section`, and expects one problem.
#[track_caller]
fn one_problem(section: &str, line: &str) -> String {
    let told = match MINIMAL.split_once(&format!("{section}\n")) {
        Some((before, after)) => format!("{before}{section}\n{line}\n{after}"),
        None => format!("{MINIMAL}\n{section}\n{line}\n"),
    };
    let told = File::new(told).refused();
    assert_eq!(told.matches(": error: ").count(), 1, "{told}");
    told
}

#[test]
fn unknown_keys_and_sections_name_the_nearest() {
    assert!(one_problem("[store]", "pol = 8").contains("did you mean `pool`?"));
    assert!(one_problem("[proxy]", "zzz = 8").contains("it takes listen, "));
    let told = one_problem("[upstream.x]", "servers = []");
    assert!(told.contains("unknown section `upstream`"), "{told}");
    assert!(told.contains("did you mean `upstreams`?"), "{told}");
}

#[test]
fn a_wrong_type_says_what_is_wanted() {
    let of_proxy = |line| one_problem("[proxy]", line);
    assert!(of_proxy("threads = \"2\"").contains("must be a number, not a string"));
    assert!(of_proxy("threads = 0").contains("between 1 and 1024"));
    assert!(of_proxy("threads = 99999999999999999999").contains("between 1 and 1024"));
    assert!(of_proxy("grace = 30").contains("must be a string, not a number"));
    assert!(of_proxy("trusted_proxies = \"10.0.0.0/8\"").contains("put it in brackets"));
    assert!(of_proxy("key_sources = []").contains("no key could be read"));
    assert!(one_problem("[store]", "migrate_on_start = 1").contains("must be true or false"));
    assert!(one_problem("[upstreams.app]", "timeouts = \"1s\"").contains("must be a table"));
    assert!(
        one_problem("[upstreams.app]", "timeouts = { conect = \"1s\" }").contains("`connect`?")
    );
}

#[test]
fn one_bracket_too_few_is_explained() {
    let text = format!("{BASE}\n[routes]\nname = \"a\"\n");
    assert!(File::new(text).refused().contains("hint: write [[routes]] with two brackets"));
}

#[test]
fn an_empty_listen_is_refused() {
    let text = MINIMAL.replace(r#"["127.0.0.1:8080"]"#, "[]");
    assert!(File::new(text).refused().contains("gatepost.toml:4:10: error: `listen` is empty"));
}

#[test]
fn two_listeners_cannot_share_an_address() {
    let text = MINIMAL.replace("127.0.0.1:8080", "0.0.0.0:9090");
    assert!(File::new(text).refused().contains("the proxy listens on 0.0.0.0:9090 already"));
    let text = MINIMAL.replace(r#"["127.0.0.1:8080"]"#, r#"["127.0.0.1:80", "127.0.0.1:80"]"#);
    assert!(File::new(text).refused().contains("`listen` has 127.0.0.1:80 already"));
}

#[test]
fn management_in_the_clear_must_be_asked_for() {
    let exposed = "listen = \"0.0.0.0:9090\"";
    let told = one_problem("[management]", exposed);
    assert!(told.contains("management would answer in the clear on 0.0.0.0:9090"), "{told}");
    File::new(format!("{MINIMAL}\n[management]\n{exposed}\ninsecure = true\n")).load();
}

#[test]
fn trusting_everybody_is_odd() {
    let text = MINIMAL.replace("[store]", "trusted_proxies = [\"0.0.0.0/0\"]\n[store]");
    assert!(File::new(text).warned().contains("anybody can claim to be any client"));
}

#[test]
fn a_webhook_on_a_link_local_address_is_odd() {
    let webhook = |host: &str| {
        let secret = "two dozen bytes at the least";
        let lines = format!("[[webhooks]]\nurl = \"http://{host}/hook\"\nsecret = \"{secret}\"");
        File::new(format!("{MINIMAL}\n{lines}\n")).warned()
    };
    for host in ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]:8080"] {
        let told = webhook(host);
        assert!(told.contains("`url` is a link-local address"), "{host}: {told}");
    }
    for host in ["alerts.example.com", "10.0.0.1", "[fd00::1]:8080"] {
        assert_eq!(webhook(host), "", "{host}");
    }
}

#[test]
fn upstreams_are_judged() {
    let of_app = |line| one_problem("[upstreams.app]", line);
    let swap =
        |servers: &str| File::new(MINIMAL.replace(r#"["127.0.0.1:3000"]"#, servers)).refused();
    assert!(swap("[]").contains("`servers` is empty"));
    assert!(swap(r#"["a:1", "a:1"]"#).contains("give it a weight"));
    assert!(swap(r#"[{ addr = "a:1", sni = "b" }]"#).contains("says nothing without TLS"));
    assert!(swap(r#"[{ weight = 2 }]"#).contains("`addr` is missing"));
    assert!(of_app("identity = [\"key_name\"]").contains("did you mean `key-name`?"));
    assert!(of_app("health_check = { path = \"healthz\" }").contains("is not a path"));
    let told = one_problem("[upstreams.management]", "servers = [\"a:1\"]");
    assert!(told.contains("`management` is a built-in upstream"), "{told}");
}

#[test]
fn an_upstream_that_nobody_reaches_is_odd() {
    let told = File::new(format!("{MINIMAL}\n[upstreams.idle]\nservers = [\"a:1\"]\n")).warned();
    assert!(told.contains("warning: no route leads to the upstream `idle`"), "{told}");
}

#[test]
fn what_is_not_built_yet_is_refused_and_not_ignored() {
    for (section, line) in [
        ("[forward_auth]", "listen = \"127.0.0.1:9091\""),
        ("[upstreams.app]", "balance = \"least-connections\""),
    ] {
        let told = one_problem(section, line);
        assert!(told.contains(" not available yet"), "{section} {line}: {told}");
    }
}

#[test]
fn a_listener_has_a_whole_certificate_or_none() {
    for (listener, told) in [
        (r#"{ addr = "127.0.0.1:8080", cert = "tls.crt" }"#, "`key` is missing"),
        (r#"{ addr = "127.0.0.1:8080", key = "tls.key" }"#, "`cert` is missing"),
        (
            r#"{ addr = "127.0.0.1:8080", cert = "tls.crt", key = "tls.key", h2c = true }"#,
            "HTTP/2 without TLS",
        ),
        (r#"{ cert = "tls.crt", key = "tls.key" }"#, "`addr` is missing"),
    ] {
        let text = MINIMAL.replace(r#""127.0.0.1:8080""#, listener);
        let refused = File::new(text).refused();
        assert!(refused.contains(told), "{listener}: {refused}");
    }
}

#[test]
fn a_spool_and_a_retention_that_cannot_be_meant_are_refused() {
    let told = one_problem("[usage]", "spool_max = \"4KiB\"");
    assert!(told.contains("too small for a spool"), "{told}");
    let told = one_problem("[usage]", "retention = { raw = \"90 days\" }");
    assert!(told.contains("is not a duration"), "{told}");
}

#[test]
fn limits_that_cannot_be_meant_are_refused() {
    for (section, line, expected) in [
        ("[tiers.free]", "rate = \"60\"", "`60` is not a rate"),
        ("[tiers.free]", "rate = \"2000000/s\"", "is not a rate"),
        ("[tiers.free]", "quota = \"10/s\"", "`10/s` is not a quota"),
        ("[tiers.free]", "burst = 5", "`burst` says nothing without `rate`"),
        ("[limits]", "default_tier = \"free\"", "`free` is not a tier"),
        ("[limits]", "max_limiters = 0", "must be between 1 and"),
        ("[limits]", "backend = \"http://cache\"", "is not the address of a Redis server"),
        ("[limits]", "backend = \"rediss://cache\"", "TLS is not available"),
    ] {
        let told = one_problem(section, line);
        assert!(told.contains(expected), "{section} {line}: {told}");
    }
    let tiers =
        format!("{MINIMAL}\n[tiers.free]\nrate = \"1/s\"\n[limits]\ndefault_tier = \"fre\"");
    let told = File::new(tiers).refused();
    assert!(told.contains("did you mean `free`?"), "{told}");
}

#[test]
fn no_problem_repeats_a_password() {
    let secret = "hunter2";
    for url in [
        format!("mysql://app:{secret}@db/app"),
        format!("postgres://app:{secret} @db/app"),
        format!("postgres://app:{secret}@db/${{UNSET}}"),
        format!("sqlite:{secret}"),
        format!("{secret}${{"),
    ] {
        let text = MINIMAL.replace("sqlite://gatepost.db", &url);
        let told = File::new(text).refused();
        assert!(!told.contains(secret), "{told}");
        let told = File::new(MINIMAL).with("GATEPOST_STORE_URL", &url.replace("${", "")).said();
        assert!(!told.contains(secret), "{told}");
    }
}

impl File {
    fn said(&self) -> String {
        match Config::load(&self.path(), &self.environment) {
            Ok(config) => format!("{config:?}"),
            Err(error) => error.to_string(),
        }
    }
}

#[test]
fn what_a_variable_brings_in_is_not_repeated() {
    let text = MINIMAL.replace("127.0.0.1:3000", "${TOKEN}");
    for token in ["hunter2", "http://app:hunter2@host", "https://hunter2/"] {
        let told = File::new(&text).with("TOKEN", token).refused();
        assert!(told.contains("`${TOKEN}` is not host:port"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_password_that_everybody_may_read_is_odd() {
    let text = MINIMAL.replace("sqlite://gatepost.db", "postgres://app:hunter2@db/app");
    let file = File::new(text);
    assert_eq!(file.warned(), "");
    file.mode(0o644);
    let told = file.warned();
    assert!(told.contains("may read the password"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_password_that_a_variable_brings_in_is_nobodys_to_read() {
    let url = "postgres://app:${PASSWORD}@db/app";
    let file = File::new(MINIMAL.replace("sqlite://gatepost.db", url)).with("PASSWORD", "hunter2");
    file.mode(0o644);
    assert_eq!(file.warned(), "");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let path = std::path::Path::new("/nowhere/gatepost.toml");
    let error = Config::load(path, &Environment::new()).unwrap_err();
    assert!(matches!(error, ConfigError::Read { .. }));
    assert!(error.to_string().starts_with("/nowhere/gatepost.toml: "), "{error}");
}
