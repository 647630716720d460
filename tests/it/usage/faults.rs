//! Records in the store equal requests answered, whatever happens to Postgres on the way.

use std::time::Duration;

use tokio::time::sleep;

use super::books::{Books, a_gateway, assert_all_answered, load};
use crate::support::gateway::Plan;
use crate::support::postgres::Cluster;
use crate::support::relay::Relay;

/// `fault` happens while clients go on asking; afterwards each answer has its record.
async fn nothing_is_lost(fault: impl AsyncFnOnce(&Cluster)) {
    let books = Books::postgres();
    let (mut gateway, key) = a_gateway(&books).await;
    let load = load(&gateway, &key).await;
    sleep(Duration::from_millis(500)).await;
    if let Books::Postgres(cluster) = &books {
        fault(cluster).await;
    }
    sleep(Duration::from_millis(500)).await;
    let ledger = load.stop().await;
    assert_all_answered(&ledger);
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    books.agree(&gateway, "orders", &ledger);
}

#[tokio::test]
async fn postgres_killed_under_load_and_restarted() {
    let fault = async |cluster: &Cluster| {
        for _ in 0..2 {
            cluster.kill();
            sleep(Duration::from_secs(1)).await;
            cluster.restart();
            sleep(Duration::from_secs(1)).await;
        }
    };
    nothing_is_lost(fault).await;
}

#[tokio::test]
async fn postgres_and_all_its_processes_stopped_for_20_seconds() {
    let fault = async |cluster: &Cluster| {
        cluster.pause();
        sleep(Duration::from_secs(20)).await;
        cluster.resume();
    };
    nothing_is_lost(fault).await;
}

#[tokio::test]
async fn every_connection_ended_again_and_again() {
    let fault = async |cluster: &Cluster| {
        for _ in 0..20 {
            cluster.execute(
                "postgres",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
            );
            sleep(Duration::from_millis(100)).await;
        }
    };
    nothing_is_lost(fault).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_a_commit_is_lost() {
    let cluster = Cluster::start("");
    let relay = Relay::to(([127, 0, 0, 1], cluster.port()).into()).await;
    let url = format!("postgres://postgres@{}/postgres", relay.addr);
    let mut gateway = Plan::new().on_postgres(&url).start().await;
    let key = gateway.key(&["orders:read"]).await;
    let load = load(&gateway, &key).await;
    relay.lose_commits(3);
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
    Books::Postgres(cluster).agree(&gateway, "orders", &ledger);
}
