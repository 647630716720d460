use std::time::{Duration, Instant};

use reqwest::StatusCode;

use crate::support::gateway::{Gateway, Plan};
use crate::support::load::Load;
use crate::support::postgres::TestDatabase;

#[tokio::test]
async fn a_stop_under_load_loses_no_response_and_no_record() {
    let database = TestDatabase::new().await;
    let mut gateway = Plan::new().on_postgres(&database.url()).start().await;
    let key = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status("/api/v1/orders", &key).await, StatusCode::OK);
    let served = gateway.upstream.count();
    let load = Load::start(&gateway, "/api/v1/orders", &key, 16, Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(1)).await;

    let status = gateway.terminate().await;
    assert!(status.success(), "{status}: {}", gateway.log());
    let ledger = load.stop().await;
    assert!(ledger.lost.is_empty(), "{} lost, e.g. {}", ledger.lost.len(), ledger.lost[0]);
    assert_eq!(ledger.answered(), ledger.status(200), "{ledger:?}");
    assert!(ledger.answered() > 10, "{ledger:?}");
    assert_eq!(ledger.answered(), gateway.upstream.count() - served);

    let records = database
        .texts("SELECT count(*)::text FROM api_usage WHERE route = 'orders' AND status_code = 200");
    assert_eq!(records[0].parse::<usize>().unwrap(), ledger.answered() + 1);
}

#[tokio::test]
async fn a_slow_answer_is_finished_before_the_end() {
    let mut gateway = Gateway::start().await;
    let request = gateway
        .request(reqwest::Method::GET, "/files/drip")
        .header("x-api-key", &gateway.admin().text);
    let answer = tokio::spawn(async move { request.send().await.unwrap().text().await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(gateway.terminate().await.success());
    let text = answer.await.unwrap().expect("the whole answer");
    assert!(text.ends_with("chunk 9\n"), "{text}");
}

#[tokio::test]
async fn an_idle_gateway_does_not_sleep_through_its_grace_time() {
    let mut gateway = Plan::new().extra("grace = \"60s\"").start().await;
    let since = Instant::now();
    assert!(gateway.terminate().await.success());
    assert!(since.elapsed() < Duration::from_secs(30), "the grace time is a bound, not a pause");
}

#[tokio::test]
async fn while_draining_it_is_not_ready() {
    let gateway = Gateway::start().await;
    let slow = gateway
        .request(reqwest::Method::GET, "/files/drip")
        .header("x-api-key", &gateway.admin().text);
    let answer = tokio::spawn(async move { slow.send().await.unwrap().text().await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    gateway.signal(rustix::process::Signal::TERM);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let readyz = format!("http://{}/readyz", gateway.management);
    let ready = gateway.client.get(readyz).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    answer.await.unwrap().expect("the whole answer");
}
