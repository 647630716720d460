//! The environment goes before the file, value by value.

use gatepost::config::StoreUrl;

use super::{File, MINIMAL};

fn postgres(file: &File) -> String {
    match file.load().store.url {
        StoreUrl::Postgres(url) => url.to_string(),
        StoreUrl::Sqlite(path) => panic!("{path:?} is not Postgres"),
    }
}

#[test]
fn a_variable_overrides_one_value() {
    let config = File::new(MINIMAL)
        .with("GATEPOST_PROXY_LISTEN", "127.0.0.1:1111, 127.0.0.1:2222")
        .with("GATEPOST_PROXY_THREADS", "5")
        .with("GATEPOST_LOG_FILTER", "debug")
        .with("GATEPOST_LOG_JSON", "false")
        .with("GATEPOST_MANAGEMENT_LISTEN", "127.0.0.1:3333")
        .load();
    let ports: Vec<_> = config.proxy.listen.iter().map(|listen| listen.addr.port()).collect();
    assert_eq!(ports, [1111, 2222]);
    assert_eq!((config.proxy.threads, config.log.filter.as_str()), (5, "debug"));
    assert_eq!(config.log.json, Some(false));
    assert_eq!(config.management.listen.port(), 3333);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn a_variable_stands_in_for_a_required_value() {
    let text = MINIMAL.replace("[store]", "").replace("url = ", "# ");
    let file = File::new(text).with("DATABASE_URL", "postgres://db/app");
    assert_eq!(postgres(&file), "postgres://db/app");
}

#[test]
fn database_url_is_between_ours_and_the_file() {
    let file = File::new(MINIMAL).with("DATABASE_URL", "postgres://theirs/app");
    assert_eq!(postgres(&file), "postgres://theirs/app");
    let file = file.with("GATEPOST_STORE_URL", "postgres://ours/app");
    assert_eq!(postgres(&file), "postgres://ours/app");
}

#[test]
fn a_mounted_secret_is_read_without_its_last_newline() {
    let file = File::new(MINIMAL);
    let secret = file.beside("secret", "postgres://app:pw@db/app\n");
    let file = file.with("DATABASE_URL_FILE", secret.to_str().unwrap());
    assert_eq!(postgres(&file), "postgres://app:pw@db/app");
}

#[test]
fn a_mounted_secret_that_is_wrong_names_the_variable_and_not_the_secret() {
    let file = File::new(MINIMAL).with("GATEPOST_STORE_URL_FILE", "/nowhere/secret");
    let told = file.refused();
    assert!(told.starts_with("GATEPOST_STORE_URL_FILE: error: the file that it names"), "{told}");

    let file = File::new(MINIMAL);
    let secret = file.beside("secret", "hunter2");
    let told = file.with("GATEPOST_PROXY_GRACE_FILE", secret.to_str().unwrap()).refused();
    assert!(told.starts_with("GATEPOST_PROXY_GRACE_FILE: error: `grace` is not"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");

    let file = File::new(MINIMAL);
    let large = file.beside("large", &"x".repeat(100_000));
    let told = file.with("GATEPOST_STORE_URL_FILE", large.to_str().unwrap()).refused();
    assert!(told.contains("larger than 64 KiB"), "{told}");
}

#[test]
fn a_value_and_a_file_for_the_same_thing_contradict() {
    let file = File::new(MINIMAL)
        .with("DATABASE_URL", "postgres://db/app")
        .with("DATABASE_URL_FILE", "/run/secrets/url");
    assert!(file.refused().contains("DATABASE_URL is set as well"));
}

#[test]
fn a_wrong_override_names_the_variable() {
    let told = File::new(MINIMAL).with("GATEPOST_PROXY_LISTEN", "8080").refused();
    assert!(told.starts_with("GATEPOST_PROXY_LISTEN: error: `8080` is not an address"), "{told}");
    let told = File::new(MINIMAL).with("GATEPOST_PROXY_THREADS", "many").refused();
    assert!(told.starts_with("GATEPOST_PROXY_THREADS: error: `many` is not a number"), "{told}");
    let told = File::new(MINIMAL).with("GATEPOST_PROXY_LISTEN", "").refused();
    assert!(told.starts_with("GATEPOST_PROXY_LISTEN: error: `listen` is empty"), "{told}");
}

#[test]
fn a_gate_that_stands_open_is_told_wherever_it_comes_from() {
    let told = File::new(MINIMAL).with("GATEPOST_PROXY_ENFORCE", "false").warned();
    assert!(told.contains("GATEPOST_PROXY_ENFORCE: warning: every route is in shadow"), "{told}");
}

#[test]
fn names_that_change_nothing_are_odd() {
    let file = File::new(MINIMAL)
        .with("GATEPOST_PROXY_LISTENS", "x")
        .with("GATEPOST_SERVER", "x")
        .with("GATEPOST_KEY", "x")
        .with("GATEPOST_KEY_FILE", "x")
        .with("PATH", "x");
    assert_eq!(
        file.warned(),
        "GATEPOST_PROXY_LISTENS: warning: Gatepost knows no variable of this name, so it changes \
         nothing\n  hint: did you mean `GATEPOST_PROXY_LISTEN`?"
    );
}

#[test]
fn strings_in_the_file_take_variables() {
    let text = MINIMAL.replace("127.0.0.1:3000", "${HOST}:${PORT:-3000}");
    let file = File::new(&text).with("HOST", "app");
    assert_eq!(file.load().upstreams[0].servers[0].addr, "app:3000");
    let told = File::new(&text).refused();
    assert!(told.contains("gatepost.toml:10:12: error: "), "{told}");
    assert!(told.contains("needs the environment variable HOST"), "{told}");
    assert!(told.contains("hint: set HOST, or give a default: `${HOST:-default}`"), "{told}");
}

#[test]
fn numbers_and_flags_can_come_from_variables_too() {
    let text = MINIMAL
        .replace("[store]", "threads = \"${N}\"\n[store]\nmigrate_on_start = \"${M:-false}\"");
    let config = File::new(text).with("N", "7").load();
    assert_eq!(config.proxy.threads, 7);
    assert!(!config.store.migrate_on_start);
}
