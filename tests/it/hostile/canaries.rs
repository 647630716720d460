//! Secrets that are told apart from everything else, sent through every door.

use http::{Method, Request};
use serde_json::json;

use super::arena::{Arena, statuses};
use super::connections::say_and_end;
use super::http2::connect;
use super::recorder::Recorder;
use crate::support::forge::sealed;
use crate::support::gateway::{Gateway, Key, Plan};

/// How many of [`canary`] are let out here.
pub const COUNT: usize = 13;

/// Routes of every kind that the arena does not have.
const ROUTES: &str = r#"
[[routes]]
name = "asserted"
path = "/asserted/{*rest}"
require = []
upstream = "asserted"

[[routes]]
name = "trial"
path = "/trial/{id}"
require = ["admin"]
shadow = true
upstream = "recorder"

[[routes]]
name = "notes"
path = "/notes/{id}"
methods = ["GET"]
require = []
cors = { origins = ["https://app.example.com"] }
upstream = "recorder"

[[routes]]
name = "greeter"
path = "/helloworld.Greeter/{method}"
methods = ["POST"]
require = []
grpc = true
upstream = "recorder"
"#;

pub fn canary(n: usize) -> String {
    format!("c4n4ry{n:02}Zq8xW3vT6yB1nM5k")
}

pub fn webhook_path() -> String {
    format!("/{}", canary(11))
}

/// Where they sing: with a log of all that may be logged, and a webhook that is told everything.
pub async fn arena(webhook: &Recorder) -> Arena {
    let recorder = Recorder::saying(script).await;
    let plan = Plan::new().listener("{ addr = \"{proxy}\", h2c = true }");
    let extra = format!(
        "{ROUTES}\n[upstreams.asserted]\nservers = [\"{}\"]\nidentity = [\"assertion\"]\n\
         [[webhooks]]\nurl = \"http://{}{}\"\nsecret = \"{}\"\n",
        recorder.addr,
        webhook.addr,
        webhook_path(),
        canary(12),
    );
    Arena::planned(plan.env("GATEPOST_LOG_FILTER", "trace"), recorder, &extra).await
}

fn script(target: &str) -> Vec<u8> {
    match target {
        "/files/broken" => format!("{}\r\n\r\n", canary(8)).into_bytes(),
        "/files/silent" => Vec::new(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
    }
}

/// Lets all of them out, and returns what clients heard.
pub async fn sing(arena: &Arena) -> Vec<u8> {
    let gateway = &arena.gateway;
    let mut heard = Vec::new();
    for head in malformed().into_iter().chain(formed()).chain(preflights()) {
        heard.extend(arena.say(head.as_bytes()).await.expect("an answer or the end"));
    }
    // A real key, where something may go wrong behind it.
    for target in
        ["/files/a", "/files/broken", "/files/silent", "/admin", "/asserted/a", "/trial/7"]
    {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nX-API-Key: {{K}}\r\nConnection: close\r\n\r\n"
        );
        let answer = arena.say(head.as_bytes()).await.expect("an answer");
        assert!(!statuses(&answer).is_empty());
        heard.extend(answer);
    }
    let gone = "POST /files/a HTTP/1.1\r\nHost: a\r\nX-API-Key: {K}\r\nContent-Length: 9\r\n\r\n";
    say_and_end(gateway.proxy, &arena.with_key(gone.as_bytes())).await;
    for key in [&canary(2), &arena.key.text] {
        call(gateway, key).await;
    }
    administer(gateway).await;
    heard
}

fn malformed() -> Vec<String> {
    let (key, other) = (canary(0), canary(1));
    vec![
        format!("GET /files/a HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n broken\r\n\r\n"),
        format!("GET /files/a HTTP/1.1\r\nX-API-Key {key}\r\n\r\n"),
        format!("GET /files/a HTTP/9.9\r\nX-API-Key: {key}\r\n\r\n"),
        format!(
            "POST /files/a HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nContent-Length: x\r\n\r\n"
        ),
        format!("{other}\r\n\r\n"),
        format!("GET /files/a HTTP/1.1\r\nHost: {other}@a\r\n\r\n"),
    ]
}

fn formed() -> Vec<String> {
    let lines = [
        format!("X-API-Key: {}", canary(2)),
        format!("X-API-Key: gp_live_0000000000000000_{}", canary(2)),
        format!("Authorization: Bearer {}", canary(3)),
        format!("Authorization: Bearer gp_{}", canary(3)),
        format!("Cookie: session={}", canary(4)),
        format!("X-Gatepost-User-Id: {}", canary(4)),
    ];
    let targets = [
        "/files/a",
        "/public/a",
        "/nowhere",
        "/files/broken",
        "/asserted/a",
        "/trial/7",
        "/notes/7",
        "/helloworld.Greeter/SayHello",
    ];
    let in_query =
        [format!("/files/a?api_key={}", canary(5)), format!("/files/a?token={}&x=\"", canary(5))];
    let end = "Connection: close\r\n\r\n";
    let with = |line: &String| {
        targets.map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{line}\r\n{end}"))
    };
    let asked = in_query.iter().map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{end}"));
    lines.iter().flat_map(with).chain(asked).collect()
}

fn preflights() -> Vec<String> {
    let secret = canary(9);
    let ask = |origin: &str, headers: &str| {
        format!(
            "OPTIONS /notes/7?api_key={secret} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nX-API-Key: \
             {secret}\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: \
             {headers}\r\nConnection: close\r\n\r\n"
        )
    };
    let ours = "https://app.example.com";
    vec![ask(ours, "x-api-key"), ask(ours, &secret), ask(&format!("https://{secret}"), "x-api-key")]
}

/// A call of gRPC. Behind it is no server of gRPC: that is one more thing to go wrong.
async fn call(gateway: &Gateway, key: &str) {
    let request = Request::post("http://greeter.example/helloworld.Greeter/SayHello")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-api-key", key);
    let mut client = connect(gateway).await.ready().await.expect("it is ready");
    let sent = client.send_request(request.body(()).expect("a request"), true);
    let answer = sent.expect("it is sent").0.await.expect("an answer");
    assert!(answer.headers().contains_key("grpc-status"), "{answer:?}");
}

async fn administer(gateway: &Gateway) {
    let keys = "/api/v1/admin/api-keys";
    let verify = format!("{keys}/verify");
    for (path, body) in [
        (keys, json!({"name": "a key", "permissions": [canary(6)]})),
        (keys, json!({"password": canary(6)})),
        (keys, json!(canary(6))),
        (&verify, json!({"api_key": canary(6)})),
        (&verify, json!({"api_key": gateway.admin().text})),
    ] {
        gateway.manage(Method::POST, path, gateway.admin(), Some(body)).await;
    }
    let mut wrong = gateway.admin().clone();
    wrong.text = canary(7);
    for path in ["/api/v1/profile", "/api/v1/admin/config"] {
        gateway.manage(Method::GET, path, &wrong, None).await;
        let path = format!("{path}?api_key={}", canary(7));
        gateway.manage(Method::GET, &path, gateway.admin(), None).await;
    }
}

/// Makes alarms: a key that is guessed at, with a canary for its secret, and one that was revoked,
/// which is returned.
pub async fn alarm(gateway: &Gateway) -> Key {
    let (guessed, revoked) = (gateway.key(&[]).await, gateway.key(&[]).await);
    gateway.revoke(&revoked).await;
    let guess = sealed(&format!("gp_live_{}_{:0>43}", guessed.lookup_id, canary(10)));
    for key in [guess.as_str()].repeat(10).into_iter().chain([&*revoked.text]) {
        let request = gateway.request(Method::GET, "/files/a").header("x-api-key", key);
        assert_eq!(request.send().await.expect("an answer").status(), 401);
    }
    revoked
}
