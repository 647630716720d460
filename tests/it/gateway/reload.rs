use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::Signal;

use crate::support::gateway::{Gateway, Key};
use crate::support::load::Load;

const NEW_ROUTE: &str =
    "\n[[routes]]\nname = \"later\"\npath = \"/later\"\nrequire = []\nupstream = \"sample\"\n";

async fn becomes(gateway: &Gateway, path: &str, key: &Key, wanted: StatusCode) {
    let since = Instant::now();
    while gateway.status(path, key).await != wanted {
        assert!(since.elapsed() < Duration::from_secs(20), "never {wanted}:\n{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_changed_file_is_in_use_without_a_restart() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&[]).await;
    assert_eq!(gateway.status("/later", &key).await, StatusCode::NOT_FOUND);
    let load = Load::start(&gateway, "/files/x", &key, 4, Duration::from_millis(1));
    let before = gateway.configuration();
    gateway.configure(&(before.clone() + NEW_ROUTE));
    becomes(&gateway, "/later", &key, StatusCode::OK).await;
    // A new route is counted by its name.
    let series = "gatepost_requests_total{method=\"GET\",route=\"later\",status=\"200\"}";
    gateway.counts(series, 1.0).await;

    gateway.configure(&before);
    gateway.signal(Signal::HUP);
    becomes(&gateway, "/later", &key, StatusCode::NOT_FOUND).await;
    let ledger = load.stop().await;
    assert!(ledger.lost.is_empty() && ledger.answered() == ledger.status(200), "{ledger:?}");
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_loud() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    let good = gateway.configuration();
    for bad in [
        good.replace("require = [\"orders:read\"]", "requires = [\"orders:read\"]"),
        good[..good.len() / 2].to_owned(),
        String::new(),
        good.clone() + "[[routes]]\nname = \"orders\"\n",
    ] {
        let loads = gateway.metric("gatepost_config_loads_total").await;
        gateway.configure(&bad);
        gateway.signal(Signal::HUP);
        let since = Instant::now();
        while gateway.metric("gatepost_config_loads_total").await <= loads {
            assert!(since.elapsed() < Duration::from_secs(20), "it is never read");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(gateway.metric("gatepost_config_last_reload_successful").await, 0.0);
        assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK);
    }
    assert!(gateway.log().contains("require"), "the log names what is wrong:\n{}", gateway.log());
    gateway.configure(&good);
    gateway.signal(Signal::HUP);
    let since = Instant::now();
    while gateway.metric("gatepost_config_last_reload_successful").await != 1.0 {
        assert!(since.elapsed() < Duration::from_secs(20), "the good one is never read");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
