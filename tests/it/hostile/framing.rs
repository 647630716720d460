//! Framing and protocol: where a request ends is said once, and in one way.

use super::arena::{Attack, SMUGGLED, forwarded, get_with, refused, refused_as};

pub const COUNT: usize = 181;

/// Header lines of a POST that say twice, or unclearly, where its body ends.
const UNCLEAR: &[&[u8]] = &[
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"Transfer-Encoding: identity\r\nContent-Length: 5",
    b"Content-Length: 0\r\nTransfer-Encoding: chunked",
    b"Content-Length: 5\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length: 5\r\ncontent-length: 0",
    b"Content-Length: 5, 5",
    b"Content-Length: 5,6",
    b"Content-Length: 05",
    b"Content-Length: 0000000005",
    b"Content-Length: +5",
    b"Content-Length: -5",
    b"Content-Length: -0",
    b"Content-Length: 0x5",
    b"Content-Length: 5x",
    b"Content-Length: 5 5",
    b"Content-Length: 5.0",
    b"Content-Length: 5e0",
    b"Content-Length: 5;",
    b"Content-Length: \"5\"",
    b"Content-Length:",
    b"Content-Length: ",
    b"Content-Length: ,5",
    b"Content-Length: 9223372036854775808",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: 99999999999999999999999",
    b"Content-Length : 5",
    b"Content-Length\t: 5",
    b" Content-Length: 5",
    b"Content-Length: 5\x00",
    b"Content-Length: \xb5",
    b"Content-Length: \x0b5",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding: chunked;q=1",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: ",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked",
    b" Transfer-Encoding: chunked",
    b"Transfer-Encoding:\x0bchunked",
    b"Transfer-Encoding: \x00chunked",
    b"Transfer-Encoding: chun\x00ked",
    b"X: y\r\n Transfer-Encoding: chunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding: chunked\nContent-Length: 5",
    b"X: y\rTransfer-Encoding: chunked",
    b"Transfer_Encoding : chunked\r\nContent-Length: 5",
];

const REQUEST_LINES: &[&[u8]] = &[
    b"GET /files/a HTTP/1.2",
    b"GET /files/a HTTP/2.0",
    b"GET /files/a HTTP/3",
    b"GET /files/a HTTP/0.9",
    b"GET /files/a HTTP/1.1x",
    b"GET /files/a HTTP/01.1",
    b"GET /files/a HTTP/1.01",
    b"GET /files/a http/1.1",
    b"GET /files/a HTTPS/1.1",
    b"GET /files/a HTTP /1.1",
    b"GET /files/a HTTP/1,1",
    b"GET /files/a",
    b"GET",
    b"GET  /files/a HTTP/1.1",
    b"GET /files/a  HTTP/1.1",
    b"GET\t/files/a\tHTTP/1.1",
    b"GET /files/a HTTP/1.1 ",
    b" GET /files/a HTTP/1.1",
    b"GET /files/a HTTP/1.1\x0b",
    b"GET /files/a /files/b HTTP/1.1",
    b"GET /files/a b HTTP/1.1",
    b"TRACE /files/a HTTP/1.1",
    b"TRACK /files/a HTTP/1.1",
    b"CONNECT a.example:443 HTTP/1.1",
    b"CONNECT /files/a HTTP/1.1",
    b"get /files/a HTTP/1.1",
    b"Get /files/a HTTP/1.1",
    b"GETT /files/a HTTP/1.1",
    b"DEBUG /files/a HTTP/1.1",
    b"INVENTED /files/a HTTP/1.1",
    b"G\x00ET /files/a HTTP/1.1",
    b"G(ET /files/a HTTP/1.1",
    b"/files/a HTTP/1.1",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0",
    b"SSH-2.0-OpenSSH_9.6",
    b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2",
    b"\xff\xfe\xfd",
    b"GET /files/a ICY/1.1",
];

/// Nobody asked for a change of protocol on `/files/…`.
const UPGRADES: &[&str] = &[
    "Upgrade: websocket",
    "Upgrade: h2c",
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    "Upgrade: TLS/1.0",
    "Upgrade: HTTP/2.0",
    "Upgrade: WebSocket",
    "Upgrade: websocket, h2c",
    "Upgrade: ",
];

/// Bodies that are not the chunks that were promised.
const CHUNKS: &[&[u8]] = &[
    b"5\r\nhello",
    b"x\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5 \nhello\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    b"8000000000000000\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhelloworld\r\n0\r\n\r\n",
    b"\r\n5\r\nhello\r\n0\r\n\r\n",
    b";\r\nhello\r\n0\r\n\r\n",
];

/// The same, where the framework would go on: refused before the upstream hears of it.
const LOOSE_CHUNKS: &[&[u8]] = &[
    b"2 \r\nok\r\n0\r\n\r\n",
    b"2\t\r\nok\r\n0\r\n\r\n",
    b" 2\r\nok\r\n0\r\n\r\n",
    b"+2\r\nok\r\n0\r\n\r\n",
    b"2\nok\r\n0\r\n\r\n",
    b"2 ;a\r\nok\r\n0\r\n\r\n",
    b"2;a\nb\r\nok\r\n0\r\n\r\n",
    b"2;a=\"\n\"\r\nok\r\n0\r\n\r\n",
    b"2;a\rb\r\nok\r\n0\r\n\r\n",
    b"2;a\x00b\r\nok\r\n0\r\n\r\n",
    b"2\r\nok\n0\r\n\r\n",
    b"2\r\nok\r\n0\r\nno colon\r\n\r\n",
    b"2\r\nok\r\n0\r\nX: y\r\n folded\r\n\r\n",
    b"2\r\nok\r\n0\r\nX: y\n\r\n",
    b"2\r\nok\r\n0\r\nX : y\r\n\r\n",
    b"2\r\nok\r\n0\n\n",
];

const GET_SMUGGLED: &str = "GET /public/smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n";

pub fn attacks() -> Vec<Attack> {
    let mut attacks: Vec<Attack> = UNCLEAR.iter().map(|lines| refused(post(lines))).collect();
    attacks.extend(REQUEST_LINES.iter().map(|line| refused(with_line(line))));
    attacks.extend(UPGRADES.iter().map(|upgrade| {
        let lines = format!("{upgrade}\r\nConnection: Upgrade");
        refused(get_with(lines))
    }));
    attacks.extend(sockets());
    attacks.extend(versions());
    attacks.extend(expectations());
    attacks.extend(hidden());
    attacks.extend(LOOSE_CHUNKS.iter().map(|chunks| {
        let head: &[u8] = b"POST /files/a HTTP/1.1\r\nHost: a.example\r\nX-API-Key: {K}\r\n\
            Transfer-Encoding: chunked\r\n\r\n";
        refused_as(400, [head, chunks, GET_SMUGGLED.as_bytes()].concat())
    }));
    attacks.extend(sizes());
    attacks.extend(fragments());
    attacks
}

/// A POST whose body is chunks for one reader, five bytes for another, and another request for a
/// third.
fn post(lines: &[u8]) -> Vec<u8> {
    let start: &[u8] = b"POST /files/a HTTP/1.1\r\nHost: a.example\r\nX-API-Key: {K}\r\n";
    [start, lines, b"\r\n\r\n0\r\n\r\n", GET_SMUGGLED.as_bytes()].concat()
}

fn with_line(line: &[u8]) -> Vec<u8> {
    let rest: &[u8] = b"\r\nHost: a.example\r\nX-API-Key: {K}\r\nConnection: close\r\n\r\n";
    [line, rest].concat()
}

/// An upgrade is taken where the route says so, and only a whole one.
fn sockets() -> Vec<Attack> {
    let socket = |line: &str, headers: &str| {
        format!(
            "{line}\r\nHost: a.example\r\nX-API-Key: {{K}}\r\nConnection: Upgrade\r\n{headers}\r\n"
        )
    };
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    vec![
        refused(socket("GET /socket HTTP/1.1", "Upgrade: h2c\r\n")),
        refused(socket("GET /socket HTTP/1.1", "Upgrade: websocket\r\nUpgrade: h2c\r\n")),
        refused(socket("GET /socket HTTP/1.1", "Upgrade: websocket, h2c\r\n")),
        refused(socket("POST /socket HTTP/1.1", &format!("Upgrade: websocket\r\n{key}"))),
        refused(
            socket("GET /socket HTTP/1.1", &format!("Upgrade: websocket\r\n{key}"))
                .replace("Connection: Upgrade\r\n", ""),
        ),
        refused(socket("GET /socket HTTP/1.0", &format!("Upgrade: websocket\r\n{key}"))),
        refused(
            socket(
                "GET /socket HTTP/1.1",
                &format!("Upgrade: websocket\r\n{key}Content-Length: 50\r\n"),
            ) + GET_SMUGGLED,
        ),
    ]
}

fn versions() -> Vec<Attack> {
    let old = |headers: &str| format!("GET /files/a HTTP/1.0\r\nX-API-Key: {{K}}\r\n{headers}\r\n");
    vec![
        forwarded("GET /files/a", old("Host: a.example\r\n")),
        // Not kept, whatever it asks for: what follows is nobody's.
        forwarded(
            "GET /files/a",
            old("Host: a.example\r\nConnection: keep-alive\r\n") + GET_SMUGGLED,
        ),
        refused_as(400, old("")),
        refused_as(400, old("Host: a.example\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n"),
        refused_as(400, old("Host: a.example\r\nContent-Length: 1\r\nContent-Length: 1\r\n") + "a"),
        refused("GET /files/a\r\n"),
        refused("GET /public/a\r\n\r\n"),
    ]
}

fn expectations() -> Vec<Attack> {
    let post = |expect: &str| {
        format!(
            "POST /files/a HTTP/1.1\r\nHost: a.example\r\nX-API-Key: {{K}}\r\nContent-Length: 2\r\n\
             Connection: close\r\n{expect}\r\n\r\nok"
        )
    };
    vec![
        forwarded("POST /files/a", post("Expect: 100-continue")),
        forwarded("POST /files/a", post("Expect: 100-Continue")),
        forwarded("POST /files/a", post("Expect: 100-continue").replace("HTTP/1.1", "HTTP/1.0")),
        refused_as(400, post("Expect: 200-ok")),
        refused_as(400, post("Expect: 100-continue, 100-continue")),
        refused_as(400, post("Expect: 100-continue\r\nExpect: 100-continue")),
        refused_as(400, post("Expect:")),
        refused_as(400, post("Expect: 100-continue;a=b")),
    ]
}

/// A second request behind the first is never served as if it had been asked.
fn hidden() -> Vec<Attack> {
    let first = |line: &str, headers: &str| {
        format!("{line}\r\nHost: a.example\r\nX-API-Key: {{K}}\r\n{headers}\r\n")
    };
    let chunked = |body: &[u8]| {
        let head = first("POST /files/a HTTP/1.1", "Transfer-Encoding: chunked\r\n");
        [head.as_bytes(), body].concat()
    };
    vec![
        forwarded("GET /files/a", first("GET /files/a HTTP/1.1", "") + GET_SMUGGLED),
        refused(first("GET /unknown HTTP/1.1", "") + GET_SMUGGLED),
        refused(first("GET /admin HTTP/1.1", "") + GET_SMUGGLED),
        refused(first("GET /admin HTTP/1.1", "Content-Length: 50\r\n") + GET_SMUGGLED),
        refused(first("HEAD /admin HTTP/1.1", "") + GET_SMUGGLED),
        refused(first("OPTIONS /admin HTTP/1.1", "") + GET_SMUGGLED),
        refused(
            first("GET /admin HTTP/1.1", "Transfer-Encoding: chunked\r\n")
                + "0\r\n\r\n"
                + GET_SMUGGLED,
        ),
        forwarded(
            "POST /files/a",
            [&chunked(b"2\r\nok\r\n0\r\nX-Gatepost-User-Id: forged-by-the-client\r\n\r\n")[..]]
                .concat(),
        ),
        forwarded("POST /files/a", chunked(b"2;ext=1\r\nok\r\n0\r\n\r\n")),
        forwarded("POST /files/a", chunked(b"2\r\nok\r\n00;ext\r\nTransfer-Encoding: x\r\n\r\n")),
        forwarded("POST /files/a", chunked(b"02\r\nok\r\n0\r\n\r\n")),
        forwarded(
            "GET /files/a",
            [b"\r\n\r\n", first("GET /files/a HTTP/1.1", "").as_bytes()].concat(),
        ),
        refused([b"\n\n\n", first("GET /files/a HTTP/1.1", "").as_bytes()].concat()),
        refused(first("GET /files/a HTTP/1.1", "").replace("\r\n", "\n")),
        refused(first("GET /files/a HTTP/1.1", "").replace("\r\n", "\r")),
    ]
}

fn sizes() -> Vec<Attack> {
    let many = |count: usize| {
        let lines: Vec<String> = (0..count).map(|n| format!("X-{n}: 1")).collect();
        lines.join("\r\n")
    };
    let large = |size: usize| format!("X-Large: {}", "a".repeat(size));
    vec![
        // Host, the key and Connection make it a hundred.
        forwarded("GET /files/a", get_with(many(97))),
        refused_as(431, get_with(many(98))),
        refused_as(431, get_with(many(250))),
        refused(get_with(many(300))),
        refused(get_with(many(5_000))),
        forwarded("GET /files/a", get_with(large(31 * 1024))),
        refused_as(431, get_with(large(33 * 1024))),
        refused(get_with(large(100 * 1024))),
        refused(get_with(large(1024 * 1024))),
        refused(get_with(format!("{}: 1", "A".repeat(70_000)))),
        refused(get_with("X: 1\r\n".repeat(20_000) + "X: 1")),
    ]
}

/// Heads that never end: closed when their time is over.
fn fragments() -> Vec<Attack> {
    [
        "G",
        "GET /files/a",
        "GET /files/a HTTP/1.1\r\n",
        "GET /files/a HTTP/1.1\r\nHost: a.example",
        "GET /files/a HTTP/1.1\r\nHost: a.example\r\n",
        "GET /files/a HTTP/1.1\r\nHost: a.example\r\n\r",
        "\r\n",
        "\0",
    ]
    .into_iter()
    .map(refused)
    .collect()
}

/// Let in by its head, and broken in its body: never a whole request for the upstream.
pub fn broken_bodies() -> Vec<Vec<u8>> {
    let head = b"POST /files/a HTTP/1.1\r\nHost: a.example\r\nX-API-Key: {K}\r\n";
    let chunked = b"Transfer-Encoding: chunked\r\n\r\n";
    let mut bodies: Vec<Vec<u8>> =
        CHUNKS.iter().map(|chunks| [&head[..], chunked, chunks].concat()).collect();
    for (length, body) in [(5, ""), (5, "abc"), (1_000_000, "a"), (50, &GET_SMUGGLED[..20])] {
        let length = format!("Content-Length: {length}\r\n\r\n{body}");
        bodies.push([&head[..], length.as_bytes()].concat());
    }
    bodies
}

#[tokio::test]
async fn a_broken_body_is_never_a_whole_request() {
    let arena = super::Arena::open().await;
    for sent in broken_bodies() {
        let sent = arena.with_key(&sent);
        let shown = sent.escape_ascii().to_string();
        let answer = super::connections::say_and_end(arena.gateway.proxy, &sent).await;
        let statuses = super::arena::statuses(&answer);
        let arrived = arena.recorder.take();
        assert!(!statuses.contains(&200), "{shown}: {statuses:?}");
        let whole = arrived.ends_with(b"\r\n0\r\n\r\n");
        assert!(!whole, "{shown}: the upstream saw {}", arrived.escape_ascii());
        assert!(super::recorder::find(&arrived, SMUGGLED.as_bytes()).is_none(), "{shown}");
    }
    arena.still_serves().await;
}
