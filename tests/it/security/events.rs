use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Redirect;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;
use serde_json::Value;

use super::{events, from, guess, plan, stranger, until};

const ORDERS: &str = "/api/v1/orders";
const SECRET: &str = "a secret that only two of us know";

#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<(HeaderMap, Bytes)>>>);

impl Receiver {
    /// Listens, and tells where.
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(receive).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}/hook")
    }

    fn seen(&self) -> Vec<(HeaderMap, Bytes)> {
        self.0.lock().clone()
    }
}

/// Whom to tell of guesses.
fn hook(url: &str) -> String {
    format!("\n[[webhooks]]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nevents = [\"brute_force\"]\n")
}

/// Has a bad moment first.
async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut seen = receiver.0.lock();
    seen.push((headers, body));
    if seen.len() == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers[name].to_str().unwrap()
}

#[tokio::test]
async fn a_webhook_is_told_once_signed_and_again_until_it_listens() {
    let receiver = Receiver::default();
    let gateway = plan().extra(&hook(&receiver.start().await)).start().await;
    let key = gateway.key(&["orders:read"]).await;
    for n in 0..10 {
        from(&gateway, "192.0.2.1", ORDERS, &guess(&key, n)).await;
    }
    // Another kind, which this receiver did not ask for.
    for n in 0..25 {
        from(&gateway, "192.0.2.9", ORDERS, &stranger(n)).await;
    }
    until("it is told twice", async || receiver.seen().len() >= 2).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    for (headers, body) in &seen {
        let (id, time) = (header(headers, "webhook-id"), header(headers, "webhook-timestamp"));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(format!("{id}.{time}.").as_bytes());
        mac.update(body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(header(headers, "webhook-signature"), expected);
        let message: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(message["type"], "brute_force");
        assert_eq!(message["id"], id);
        assert_eq!(message["data"]["source"], "192.0.2.1");
        assert_eq!(message["data"]["evidence"]["guesses"], 10);
        assert!(!String::from_utf8_lossy(body).contains(&key.text));
    }
    assert_eq!(seen[0].0["webhook-id"], seen[1].0["webhook-id"], "a receiver can tell");
    assert_eq!(gateway.metric("gatepost_security_events_total{kind=\"brute_force\"}").await, 1.0);
}

#[tokio::test]
async fn a_webhook_that_points_elsewhere_is_not_followed() {
    let elsewhere = Receiver::default();
    let target = elsewhere.start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let redirect = Router::new().fallback(async move || {
        count.fetch_add(1, Ordering::Relaxed);
        Redirect::temporary(&target)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, redirect).await });

    let gateway = plan().extra(&hook(&url)).start().await;
    let key = gateway.key(&["orders:read"]).await;
    for n in 0..10 {
        from(&gateway, "192.0.2.1", ORDERS, &guess(&key, n)).await;
    }
    let given_up = "gatepost_webhook_deliveries_total{result=\"given_up\"}";
    until("it is given up", async || gateway.metric(given_up).await == 1.0).await;
    gateway.says("it answered 307 Temporary Redirect").await;
    assert_eq!(asked.load(Ordering::Relaxed), 1, "a receiver that says no says so again");
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

#[tokio::test]
async fn a_key_that_ends_soon_is_counted_and_told_of_once() {
    let mut gateway = plan().start().await;
    let soon = gatepost::clock::now() + std::time::Duration::from_secs(3600);
    let key = gateway.key_with(&[], serde_json::json!({"expires_at": soon})).await;
    for _ in 0..2 {
        // A node looks when it starts, and from time to time.
        assert!(gateway.terminate().await.success());
        gateway.run();
        gateway.ready().await;
        until("it is counted", async || {
            gateway.metric("gatepost_keys{state=\"nearing_expiry\"}").await == 1.0
        })
        .await;
        until("it is told", async || !events(&gateway, "key_expiring").await.is_empty()).await;
    }
    let told = events(&gateway, "key_expiring").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["key_id"], key.id.to_string());
    assert_eq!(gateway.metric("gatepost_keys{state=\"working\"}").await, 2.0);
}

#[tokio::test]
async fn events_are_listed_exported_and_followed() {
    let gateway = plan().start().await;
    let url = format!("http://{}/api/v1/admin/events", gateway.management);
    let request = gateway.client.get(url).header("x-api-key", &gateway.admin().text);
    let mut live = request.send().await.unwrap();
    assert_eq!(live.headers()["content-type"], "text/event-stream");

    let key = gateway.key(&["orders:read"]).await;
    gateway.revoke(&key).await;
    assert_eq!(from(&gateway, "192.0.2.1", ORDERS, &key.text).await.status(), 401);
    until("it is listed", async || events(&gateway, "revoked_key_used").await.len() == 1).await;
    let event = events(&gateway, "revoked_key_used").await.remove(0);
    assert_eq!(event["key_id"], key.id.to_string());

    let mut heard = String::new();
    while !heard.contains("revoked_key_used") {
        let chunk = tokio::time::timeout(Duration::from_secs(10), live.chunk()).await;
        let chunk = chunk.expect("it comes").unwrap().expect("the stream goes on");
        heard.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(heard.contains(&format!("id: {}", event["seq"])), "{heard}");

    let export = "/api/v1/admin/logs/export?kind=security";
    let ndjson = gateway.administer(Method::GET, export, None).await;
    assert_eq!(ndjson["kind"], "revoked_key_used", "one line of JSON: {ndjson}");
    let csv = gateway.administer(Method::GET, &format!("{export}&format=csv"), None).await;
    let csv = csv.as_str().unwrap();
    assert!(csv.starts_with("seq,id,at,kind,"), "{csv}");
    assert_eq!(csv.lines().count(), 2, "{csv}");
}
