//! HTTP/2 and TLS: the same judgement, whatever a request comes in.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use h2::client::SendRequest;
use http::{Request, StatusCode, Uri};
use tokio::net::TcpStream;

use super::arena::{Arena, FORGED, get, statuses};
use super::connections::say_and_end;
use super::recorder::Recorder;
use crate::support::gateway::{Gateway, Plan};

const PATIENCE: Duration = Duration::from_secs(10);

pub async fn h2c() -> Arena {
    let plan = Plan::new().listener("{ addr = \"{proxy}\", h2c = true }");
    Arena::planned(plan, Recorder::start().await, "").await
}

pub async fn connect(gateway: &Gateway) -> SendRequest<bytes::Bytes> {
    let stream = TcpStream::connect(gateway.proxy).await.expect("it listens");
    let (client, connection) = h2::client::handshake(stream).await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    client
}

/// The status of a GET, or `None` if the stream or the connection is reset.
async fn ask(arena: &Arena, target: &str, headers: &[(&str, &str)]) -> Option<StatusCode> {
    let uri: Uri = format!("http://a.example{target}").parse().expect("a URI");
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, value.replace("{K}", &arena.key.text));
    }
    let request = request.body(()).expect("a request");
    let mut client = connect(&arena.gateway).await.ready().await.ok()?;
    let (response, _) = client.send_request(request, true).ok()?;
    let response = tokio::time::timeout(PATIENCE, response).await.expect("no stream hangs");
    response.ok().map(|response| response.status())
}

type Headers = &'static [(&'static str, &'static str)];

const KEY: (&str, &str) = ("x-api-key", "{K}");

#[tokio::test]
async fn a_request_of_http2_arrives_as_one_of_http1() {
    let arena = h2c().await;
    let sent = [KEY, ("cookie", "a=1"), ("cookie", "b=2"), ("x-gatepost-user-id", FORGED)];
    assert_eq!(ask(&arena, "/api/v1/orders/7?a=b", &sent).await, Some(StatusCode::OK));

    let arrived = String::from_utf8(arena.recorder.take()).expect("text").to_ascii_lowercase();
    assert!(arrived.starts_with("get /api/v1/orders/7?a=b http/1.1\r\n"), "{arrived}");
    for line in [
        "host: a.example\r\n".to_owned(),
        "cookie: a=1; b=2\r\n".to_owned(),
        "x-forwarded-host: a.example\r\n".to_owned(),
        format!("x-gatepost-user-id: {}\r\n", arena.key.user_id),
    ] {
        assert_eq!(arrived.matches(&format!("\n{line}")).count(), 1, "{line} in {arrived}");
    }
    assert!(!arrived.contains(FORGED) && !arrived.contains(&arena.key.text.to_ascii_lowercase()));
}

#[tokio::test]
async fn http2_is_judged_by_the_same_code() {
    let arena = h2c().await;
    let cases: &[(u16, &str, Headers)] = &[
        (401, "/files/a", &[]),
        (401, "/files/a", &[("x-api-key", "gp_live_wrong")]),
        (403, "/admin", &[KEY]),
        (404, "/nowhere", &[KEY]),
        (400, "/files/../admin", &[KEY]),
        (400, "/files//a", &[KEY]),
        (400, "/files/%2e%2e/admin", &[KEY]),
        (400, "/files/a;b", &[KEY]),
        (400, "/files/a%2fb", &[KEY]),
        (400, "/files/a", &[KEY, ("host", "b.example")]),
        (400, "/files/a", &[KEY, KEY]),
        (400, "/files/a", &[KEY, ("expect", "200-ok")]),
    ];
    for (status, target, headers) in cases {
        let answered = ask(&arena, target, headers).await.map(|status| status.as_u16());
        assert_eq!(answered, Some(*status), "{target} {headers:?}");
    }
    let many: Vec<(String, &str)> = (0..101).map(|n| (format!("x-{n}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (&**name, *value)).collect();
    assert_eq!(ask(&arena, "/files/a", &many).await, Some(StatusCode::from_u16(431).unwrap()));
    let large = "a".repeat(100_000);
    let answered = ask(&arena, "/files/a", &[("x-large", &large)]).await;
    assert!(answered.is_none_or(|status| status.as_u16() == 431), "{answered:?}");
    let long = format!("/files/{}", "a".repeat(9_000));
    assert_eq!(ask(&arena, &long, &[KEY]).await, Some(StatusCode::URI_TOO_LONG));
    assert!(arena.recorder.take().is_empty());
}

#[tokio::test]
async fn what_is_about_a_connection_has_no_place_in_http2() {
    let arena = h2c().await;
    for (name, value) in [
        ("connection", "x-gatepost-user-id"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=1"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
    ] {
        let answered = ask(&arena, "/files/a", &[KEY, (name, value)]).await;
        assert!(answered.is_none_or(|status| status.is_client_error()), "{name}: {answered:?}");
    }
    assert!(arena.recorder.take().is_empty());
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A GET of `/public/a` by the static table of HPACK, and its reset.
pub fn asked_and_cancelled(stream: u32) -> Vec<u8> {
    let head = b"\x82\x86\x04\x09/public/a\x01\x09a.example";
    [frame(1, 0x5, stream, head), frame(3, 0, stream, &8u32.to_be_bytes())].concat()
}

#[tokio::test]
async fn a_connection_ends_after_a_thousand_requests() {
    let arena = h2c().await;
    let mut client = connect(&arena.gateway).await;
    let mut served = 0;
    while served < 1_200 {
        let Ok(ready) = client.ready().await else { break };
        client = ready;
        let request = Request::get("http://a.example/unknown").body(()).expect("a request");
        let Ok((response, _)) = client.send_request(request, true) else { break };
        match tokio::time::timeout(PATIENCE, response).await.expect("no stream hangs") {
            Ok(response) => assert_eq!(response.status(), StatusCode::NOT_FOUND),
            Err(_) => break,
        }
        served += 1;
    }
    assert!((1_000..1_100).contains(&served), "{served}");
}

#[tokio::test]
async fn http1_is_spoken_beside_h2c_and_broken_frames_end_the_connection() {
    let arena = h2c().await;
    let answer = arena.say(&get("/files/a")).await.expect("an answer");
    assert_eq!(statuses(&answer), [200]);
    arena.recorder.take();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for frames in [
        &b""[..],
        b"\x00\x00\x00\x01\x04\x00\x00\x00\x01",
        b"\xff\xff\xff\x01\x04\x00\x00\x00\x01",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x05\x09\x04\x00\x00\x00\x01abcde",
        b"GET /files/a HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ] {
        let answer = say_and_end(arena.gateway.proxy, &[preface, frames].concat()).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    }
    assert!(arena.recorder.take().is_empty());
    arena.still_serves().await;
}

/// A certificate that nobody trusts, and its key.
fn certificate(folder: &Path) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-subj", "/CN=a.example", "-days", "2", "-keyout", "tls.key", "-out", "tls.crt"])
        .current_dir(folder)
        .output()
        .expect("openssl is installed (it comes with PostgreSQL)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What curl says: the status and the version of HTTP.
fn curl(gateway: &Gateway, key: &str, arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-skS", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code} %{http_version}"])
        .args(["-H", &format!("X-API-Key: {key}")])
        .args(arguments)
        .arg(format!("https://{}/files/a", gateway.proxy))
        .output()
        .expect("curl is installed");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// The upstream answers while curl is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_from_1_2_on() {
    let folder = tempfile::tempdir().expect("a folder");
    certificate(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let listener = format!(
        "{{ addr = \"{{proxy}}\", cert = \"{}\", key = \"{}\" }}",
        file("tls.crt"),
        file("tls.key")
    );
    let arena = Arena::planned(Plan::new().listener(&listener), Recorder::start().await, "").await;
    let (gateway, key) = (&arena.gateway, &*arena.key.text);

    assert_eq!(curl(gateway, key, &["--http2"]), "200 2");
    assert_eq!(curl(gateway, key, &["--http1.1", "--tls-max", "1.2"]), "200 1.1");
    assert_eq!(curl(gateway, "wrong", &["--http2"]), "401 2");
    let arrived = String::from_utf8(arena.recorder.take()).expect("text").to_ascii_lowercase();
    assert_eq!(arrived.matches("x-forwarded-proto: https").count(), 2, "{arrived}");

    let old = ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    assert!(curl(gateway, key, &old).starts_with("000"));
    let plain = say_and_end(gateway.proxy, &arena.with_key(&get("/files/a"))).await;
    assert!(!plain.starts_with(b"HTTP/1.1 2"), "{}", plain.escape_ascii());
    gateway.counts("gatepost_rejected_connections_total{reason=\"tls\"}", 2.0).await;
    assert!(arena.recorder.take().is_empty());
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_an_error_for_people() {
    let listener = "{ addr = \"{proxy}\", cert = \"nowhere.crt\", key = \"nowhere.key\" }";
    let mut gateway = Plan::new().listener(listener).spawn().await;
    assert!(!gateway.ended().await.success());
    assert!(gateway.log().contains("nowhere.crt"), "{}", gateway.log());
}
