use reqwest::StatusCode;
use tokio::net::TcpStream;

use crate::support::gateway::Plan;

/// What the process needs for itself must not go to whoever connects most.
#[tokio::test]
async fn a_crowd_leaves_descriptors_to_answer_and_to_record() {
    let few = ["prlimit", "--nofile=256", "--"].map(str::to_owned).to_vec();
    let gateway = Plan::new().inside(few).start().await;
    gateway.says("raise the limit on open files").await;
    let key = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK);

    let mut crowd = Vec::new();
    for _ in 0..500 {
        crowd.extend(TcpStream::connect(gateway.proxy).await);
    }
    let rejected = "gatepost_rejected_connections_total{reason=\"total\"}";
    // There is room for 96.
    gateway.counts(rejected, 400.0).await;

    // On the connection from before; and each of these takes a segment of the spool of its own.
    for _ in 0..4 {
        assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    let lost = "gatepost_usage_dropped_total{reason=\"spool_failed\"}";
    assert_eq!(gateway.metric(lost).await, 0.0);
    assert!(!gateway.log().contains("Too many open files"), "{}", gateway.log());
}
