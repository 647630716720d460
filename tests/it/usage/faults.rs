//! Records in the store equal requests answered, whatever breaks on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::sleep;

use crate::support::gateway::{Gateway, Key, Plan};
use crate::support::load::{Ledger, Load};
use crate::support::postgres::Cluster;
use crate::support::relay::Relay;

const ORDERS: &str = "/api/v1/orders";
const PAUSE: Duration = Duration::from_millis(2);
const CLIENTS: usize = 4;

async fn on(cluster: &Cluster) -> (Gateway, Key) {
    let gateway = Plan::new().on_postgres(&cluster.url("postgres")).start().await;
    let key = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status(ORDERS, &key).await, 200);
    (gateway, key)
}

fn load(gateway: &Gateway, key: &Key) -> Load {
    Load::start(gateway, ORDERS, key, CLIENTS, PAUSE)
}

/// The ids of the records of one route; none comes twice, in the records or in the counts.
fn recorded(cluster: &Cluster, route: &str) -> BTreeSet<String> {
    let sql = format!("SELECT request_id::text FROM api_usage WHERE route = '{route}'");
    let ids = cluster.texts("postgres", &sql);
    let unique: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(unique.len(), ids.len(), "a record is doubled");
    let sql = format!("SELECT sum(requests)::text FROM usage_rollups WHERE route = '{route}'");
    assert_eq!(cluster.texts("postgres", &sql), [ids.len().to_string()], "counted by the minute");
    unique
}

fn assert_all_answered(ledger: &Ledger) {
    assert_eq!(ledger.answered(), ledger.status(200), "{ledger:?}");
    assert!(ledger.answered() > 10, "{ledger:?}");
    assert!(ledger.lost.is_empty(), "{ledger:?}");
}

/// `fault` happens while clients go on asking; afterwards each answer has its record.
async fn nothing_is_lost(cluster: &Cluster, fault: impl AsyncFnOnce()) {
    let (mut gateway, key) = on(cluster).await;
    let load = load(&gateway, &key);
    sleep(Duration::from_millis(500)).await;
    fault().await;
    sleep(Duration::from_millis(500)).await;
    let ledger = load.stop().await;
    assert_all_answered(&ledger);
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    // One more: the key was tried before.
    assert_eq!(recorded(cluster, "orders").len(), ledger.answered() + 1);
}

#[tokio::test]
async fn postgres_killed_under_load_and_restarted() {
    let cluster = Cluster::start("");
    let fault = async || {
        cluster.kill();
        sleep(Duration::from_secs(2)).await;
        cluster.restart();
    };
    nothing_is_lost(&cluster, fault).await;
}

#[tokio::test]
async fn postgres_stopped_for_some_seconds() {
    let cluster = Cluster::start("");
    let fault = async || {
        cluster.pause();
        sleep(Duration::from_secs(7)).await;
        cluster.resume();
    };
    nothing_is_lost(&cluster, fault).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_a_commit_is_lost() {
    let cluster = Cluster::start("");
    let relay = Relay::to(([127, 0, 0, 1], cluster.port()).into()).await;
    let url = format!("postgres://postgres@{}/postgres", relay.addr);
    let mut gateway = Plan::new().on_postgres(&url).start().await;
    let key = gateway.key(&["orders:read"]).await;
    relay.lose_commits(3);
    let load = load(&gateway, &key);
    for _ in 0..200 {
        sleep(Duration::from_millis(50)).await;
        if relay.cut() == 3 {
            break;
        }
    }
    assert_eq!(relay.cut(), 3, "{}", gateway.log());
    let ledger = load.stop().await;
    assert_all_answered(&ledger);
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    assert_eq!(recorded(&cluster, "orders").len(), ledger.answered());
}

#[tokio::test]
async fn a_gateway_stopped_under_load_while_its_store_is_away_ships_after_the_next_start() {
    let cluster = Cluster::start("");
    let (mut gateway, key) = on(&cluster).await;
    let load = load(&gateway, &key);
    sleep(Duration::from_millis(500)).await;
    cluster.kill();
    sleep(Duration::from_millis(500)).await;
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    let ledger = load.stop().await;
    assert_all_answered(&ledger);

    cluster.restart();
    gateway.run();
    gateway.ready().await;
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    assert_eq!(recorded(&cluster, "orders").len(), ledger.answered() + 1);
}

#[tokio::test]
async fn a_full_spool_counts_what_it_drops_to_the_record() {
    let cluster = Cluster::start("");
    let plan = Plan::new().on_postgres(&cluster.url("postgres"));
    let mut gateway = plan.extra("\n[usage]\nspool_max = \"1MiB\"\n").start().await;
    let key = gateway.key(&[]).await;
    let path = format!("/files/{}", "x".repeat(1_500));
    assert_eq!(gateway.status(&path, &key).await, 200);
    cluster.kill();
    let load = Load::start(&gateway, &path, &key, 8, Duration::ZERO);
    let dropped = "gatepost_usage_dropped_total{reason=\"spool_full\"}";
    for _ in 0..200 {
        sleep(Duration::from_millis(100)).await;
        if gateway.metric(dropped).await > 0.0 {
            break;
        }
    }
    let ledger = load.stop().await;
    assert!(ledger.lost.is_empty(), "serving goes on: {ledger:?}");
    sleep(Duration::from_millis(200)).await;
    let dropped = gateway.metric(dropped).await as usize;
    assert!(dropped > 0, "the spool was filled");
    assert!(gateway.metric("gatepost_usage_spool_bytes").await < 2e6);

    cluster.restart();
    gateway.ready().await;
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    assert_eq!(recorded(&cluster, "files").len() + dropped, ledger.answered() + 1);
}

/// At most what was answered in the last 10 ms, and what was under way.
#[tokio::test]
async fn a_killed_gateway_loses_a_moment_and_doubles_nothing() {
    let cluster = Cluster::start("");
    let (mut gateway, key) = on(&cluster).await;
    for _ in 0..3 {
        let (before, served) = (recorded_so_far(&cluster), gateway.upstream.count());
        let load = load(&gateway, &key);
        sleep(Duration::from_millis(700)).await;
        gateway.signal(Signal::KILL);
        gateway.ended().await;
        let ledger = load.stop().await;
        let asked = gateway.upstream.count() - served;
        gateway.run();
        gateway.ready().await;
        let expected = before + ledger.answered();
        // What the earlier process left is shipped before anything that this one could add.
        for _ in 0..100 {
            if recorded_so_far(&cluster) >= before + asked {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let missing = expected.saturating_sub(recorded_so_far(&cluster));
        let in_ten_ms = ledger.answered() / 70 + 1;
        assert!(missing <= in_ten_ms + CLIENTS, "{missing} of {} are missing", ledger.answered());
    }
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    recorded(&cluster, "orders");
}

fn recorded_so_far(cluster: &Cluster) -> usize {
    let sql = "SELECT count(*)::text FROM api_usage WHERE route = 'orders'";
    cluster.texts("postgres", sql)[0].parse().expect("a number")
}
