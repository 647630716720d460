//! Headers and identity: nobody speaks in our name, and nobody takes our word away.

use super::arena::{Attack, FORGED, forwarded, get_with, refused};

pub const COUNT: usize = 172;

/// Names that never reach the upstream with a client's value: our own in any spelling that a
/// CGI-like server reads the same, overrides, and where a request came from.
const RESERVED: &[&str] = &[
    "X-Gatepost-User-Id",
    "x-gatepost-user-id",
    "X-GATEPOST-USER-ID",
    "X_Gatepost_User_Id",
    "X.Gatepost.User.Id",
    "X-Gatepost_User-Id",
    "X-Gatepost.User-Id",
    "X~Gatepost~User~Id",
    "X!Gatepost!User!Id",
    "X+Gatepost+User+Id",
    "X*Gatepost*Key*Id",
    "X'Gatepost'Key'Id",
    "X|Gatepost|Key|Id",
    "X`Gatepost`Key`Id",
    "X^Gatepost^Key^Id",
    "X%Gatepost%Key%Id",
    "X&Gatepost&Key&Id",
    "X#Gatepost#Key#Id",
    "X$Gatepost$Key$Id",
    "X-Gatepost-Key-Id",
    "X-Gatepost-Permissions",
    "X-Gatepost-Tier",
    "X-Gatepost-Environment",
    "X-Gatepost-Assertion",
    "X-Gatepost-Anything-New",
    "X-Gatepost-",
    "X-Gatepost",
    "X_GATEPOST",
    "X-Original-URL",
    "X_Original_URL",
    "X-Rewrite-URL",
    "X-Rewrite-Uri",
    "X-Original-URI",
    "X-Original-Path",
    "X-Original-Method",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X_HTTP_METHOD_OVERRIDE",
    "X-Middleware-Subrequest",
    "X-Envoy-Original-Path",
    "Forwarded",
    "X-Forwarded-For",
    "X_Forwarded_For",
    "X.Forwarded.For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-User",
    "X-Forwarded-Server",
    "X-Forwarded-Client-Cert",
    "X-Real-IP",
    "X_Real_IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Envoy-External-Address",
    "Client-IP",
    "X-Remote-Addr",
    "X-Request-Id",
    "X_Request_Id",
];

/// What a client names in `Connection` cannot remove what is ours, or what the message needs.
const NOMINATED: &[&str] = &[
    "X-Gatepost-User-Id",
    "X-Gatepost-Key-Id",
    "x-gatepost-user-id, x-gatepost-key-id",
    "close, X-Gatepost-User-Id",
    "X-Request-Id",
    "Content-Length",
    "X-API-Key",
    "Authorization",
    "Transfer-Encoding",
    "close, close, close",
    ",,,,X-Gatepost-User-Id",
];

/// What a message cannot do without, or what only a proxy says: naming it is an attempt.
const NOT_TO_NOMINATE: &[&str] = &[
    "Host",
    "X-Forwarded-For",
    "keep-alive, X-Forwarded-Proto",
    "X-Forwarded-Host",
    ":authority",
    "\"X-Forwarded-For\"",
    "a b",
];

/// Header lines that two parsers read as two different headers.
const MALFORMED: &[&[u8]] = &[
    b"X-Gatepost-User-Id : forged-by-the-client",
    b"X-Gatepost-User-Id\t: forged-by-the-client",
    b" X-Gatepost-User-Id: forged-by-the-client",
    b"\tX-Gatepost-User-Id: forged-by-the-client",
    b"X-A: b\r\n X-Gatepost-User-Id: forged-by-the-client",
    b"X-A: b\r\n\tfolded",
    b"X-A: b\nX-Gatepost-User-Id: forged-by-the-client",
    b"X-A: b\rX-Gatepost-User-Id: forged-by-the-client",
    b"X-A: b\r\r\nX-B: c",
    b"X-A: b\x00c",
    b"X-A: b\x01c",
    b"X-A: b\x08c",
    b"X-A: b\x0bc",
    b"X-A: b\x0cc",
    b"X-A: b\x1bc",
    b"X-A: b\x7fc",
    b"X-A\x00: b",
    b"X-\xc3\xa9: b",
    b"X A: b",
    b"X(A): b",
    b"X@A: b",
    b"X,A: b",
    b"X/A: b",
    b"X[A]: b",
    b"X{A}: b",
    b"\"X-A\": b",
    b"X\\A: b",
    b"X=A: b",
    b"X;A: b",
    b"X?A: b",
    b"<X>: b",
    b": b",
    b":",
    b"no colon at all",
    b"X-A",
    b"\x00",
    b"\xff\xff: b",
];

/// Who the request is for must be said once, and as a host.
const HOSTS: &[&[u8]] = &[
    b"Host: a.example\r\nHost: a.example",
    b"Host: a.example\r\nHost: b.example",
    b"Host: a.example\r\nhost: b.example",
    b"Host: a.example, b.example",
    b"Host: a b",
    b"Host: a.example/admin",
    b"Host: user@a.example",
    b"Host: http://a.example",
    b"Host: a.example:99999",
    b"Host: a.example:",
    b"Host: a.example:80:80",
    b"Host: a.example:port",
    b"Host: a.example:-1",
    b"Host: a.example:+80",
    b"Host: [::1",
    b"Host: ::1",
    b"Host: [::1]x",
    b"Host: a..example",
    b"Host: .a.example",
    b"Host: a.example#b",
    b"Host: a.example?b",
    b"Host: a.example\\b",
    b"Host: a%2eexample",
    b"Host: a.example;b",
    b"Host: \xc3\xa9.example",
    b"Host: a\x00.example",
    b"Host: <a>",
    b"Host:",
    b"Host: ",
    b"Host : a.example",
    b" Host: a.example",
    b"X: y",
];

/// Unusual, and no harm: let in as it is.
const ORDINARY: &[&str] = &[
    "X_Unusual: 1",
    "X.Custom: 1",
    "X-Gateposts: 1",
    "X-Empty:",
    "X-Spaces:    1    ",
    "X-Tab:\t1",
    "Cookie: a=1; b=2",
    "Authorization: Basic dXNlcjpwYXNz",
    "Accept: */*, text/html;q=0.9",
    "X-Obs: \u{e9}",
    "User-Agent: kube-probe/1.0",
    "Upgrade-Insecure-Requests: 1",
    "Range: bytes=0-1,2-3",
    "Origin: null",
    "From: root",
];

pub fn attacks() -> Vec<Attack> {
    let forged = |name: &&str| forwarded("GET /files/a", get_with(format!("{name}: {FORGED}")));
    let doubled = |name: &&str| {
        let lines = format!("{name}: {FORGED}\r\n{name}: {FORGED}\r\n{name}:");
        forwarded("GET /files/a", get_with(lines))
    };
    let connection = |option: &&str| {
        format!(
            "GET /files/a HTTP/1.1\r\nHost: a.example\r\nX-API-Key: {{K}}\r\nConnection: {option}, \
             close\r\n\r\n"
        )
    };
    let nominated = |option: &&str| forwarded("GET /files/a", connection(option));
    let host = |line: &&[u8]| {
        let start: &[u8] = b"GET /files/a HTTP/1.1\r\nX-API-Key: {K}\r\n";
        refused([start, line, b"\r\nConnection: close\r\n\r\n"].concat())
    };
    let mut attacks: Vec<Attack> = RESERVED.iter().map(forged).collect();
    attacks.extend(RESERVED[..4].iter().map(doubled));
    attacks.extend(NOMINATED.iter().map(nominated));
    attacks.extend(NOT_TO_NOMINATE.iter().map(|option| refused(connection(option))));
    attacks.extend(MALFORMED.iter().map(|line| refused(get_with(line))));
    attacks.extend(HOSTS.iter().map(host));
    attacks.extend(ORDINARY.iter().map(|line| forwarded("GET /files/a", get_with(line))));
    attacks
}
