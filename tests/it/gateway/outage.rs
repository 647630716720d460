use std::time::Duration;

use reqwest::{Method, StatusCode};

use crate::support::gateway::{Plan, code};
use crate::support::load::Load;
use crate::support::postgres::Cluster;

const ORDERS: &str = "/api/v1/orders";
const PAUSE: Duration = Duration::from_millis(2);

/// The store dies and comes back while clients go on asking.
async fn outage(die: fn(&Cluster), revive: fn(&Cluster)) {
    let cluster = Cluster::start("");
    let mut gateway = Plan::new().on_postgres(&cluster.url("postgres")).start().await;
    let cached = gateway.key(&["orders:read"]).await;
    let cold = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status(ORDERS, &cached).await, StatusCode::OK);

    let load = Load::start(&gateway, ORDERS, &cached, 4, PAUSE);
    tokio::time::sleep(Duration::from_millis(500)).await;
    die(&cluster);
    load.take();
    let refused = gateway.get(ORDERS, &cold).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(code(refused).await, "auth_unavailable");
    let stranger = gateway.request(Method::GET, ORDERS).header("x-api-key", "gp_live_nonsense");
    assert_eq!(code(stranger.send().await.unwrap()).await, "invalid_key", "never 503 for nonsense");
    let (status, problem) = gateway.manage(Method::GET, "/api/v1/admin/users", &cached, None).await;
    assert!(
        status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::FORBIDDEN,
        "{status} {problem}"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let during = load.take();
    assert_eq!(during.answers.keys().collect::<Vec<_>>(), [&200], "{during:?}");
    assert!(during.answered() > 10, "{during:?}");
    assert!(during.lost.is_empty() && during.refused == 0, "{during:?}");
    let readyz = format!("http://{}/readyz", gateway.management);
    let degraded = gateway.client.get(&readyz).send().await.unwrap();
    assert_eq!(degraded.status(), StatusCode::OK);
    assert!(degraded.text().await.unwrap().contains("degraded"));

    revive(&cluster);
    let since = std::time::Instant::now();
    while gateway.status(ORDERS, &cold).await != StatusCode::OK {
        assert!(since.elapsed() < Duration::from_secs(20), "it never recovers:\n{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let after = load.stop().await;
    assert_eq!(after.answers.keys().collect::<Vec<_>>(), [&200], "{after:?}");

    // Every answer that any client got has its record, also those of the outage.
    let answered = gateway.metric("gatepost_usage_records_total").await as u64;
    assert!(answered > 0);
    assert_eq!(gateway.metric("gatepost_usage_dropped_total{reason=\"full\"}").await, 0.0);
    let status = gateway.terminate().await;
    assert!(status.success(), "{status}: {}", gateway.log());
    let ids = cluster.texts("postgres", "SELECT request_id::text FROM api_usage");
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "no record is doubled");
    let allowed = cluster.texts(
        "postgres",
        "SELECT count(*)::text FROM api_usage WHERE route = 'orders' AND status_code = 200",
    );
    assert_eq!(
        allowed[0].parse::<usize>().unwrap(),
        gateway.upstream.count(),
        "one record for each request that the upstream served"
    );
}

#[tokio::test]
async fn postgres_killed_under_load() {
    outage(Cluster::kill, Cluster::restart).await;
}

#[tokio::test]
async fn postgres_paused_under_load() {
    outage(Cluster::pause, Cluster::resume).await;
}

#[tokio::test]
async fn a_gateway_started_without_its_store_serves_when_it_is_there() {
    let cluster = Cluster::start("");
    let mut gateway = Plan::new().on_postgres(&cluster.url("postgres")).start().await;
    let key = gateway.key(&["orders:read"]).await;
    assert!(gateway.terminate().await.success());
    cluster.kill();
    gateway.run();
    gateway.listening().await;
    let readyz = format!("http://{}/readyz", gateway.management);
    let unready = gateway.client.get(&readyz).send().await.unwrap();
    assert_eq!(unready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let refused = gateway.get(ORDERS, &key).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    cluster.restart();
    gateway.ready().await;
    assert_eq!(gateway.status(ORDERS, &key).await, StatusCode::OK);
}
