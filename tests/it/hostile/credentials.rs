//! Credentials: one key, in one place, and whole.

use super::arena::{Attack, forwarded, refused, refused_as};

pub const COUNT: usize = 88;

/// Header lines without one good key.
const WRONG: &[(u16, &[u8])] = &[
    (401, b"X-Nothing: 1"),
    (401, b"X-API-Key:"),
    (401, b"X-API-Key: "),
    (401, b"X-API-Key: gp_"),
    (401, b"X-API-Key: gp_live"),
    (401, b"X-API-Key: gp_live_"),
    (401, b"X-API-Key: gp_live__"),
    (401, b"X-API-Key: gp___"),
    (401, b"X-API-Key: gp_LIVE_0000000000000000_0000000000000000000000000000000000000000000000000"),
    (401, b"X-API-Key: gp_live_0000000000000000_0000000000000000000000000000000000000000000000000"),
    (401, b"X-API-Key: null"),
    (401, b"X-API-Key: undefined"),
    (401, b"X-API-Key: true"),
    (401, b"X-API-Key: 0"),
    (401, b"X-API-Key: *"),
    (401, b"X-API-Key: admin"),
    (401, b"X-API-Key: ' OR '1'='1"),
    (401, b"X-API-Key: '; DROP TABLE users;--"),
    (401, b"X-API-Key: ../../etc/passwd"),
    (401, b"X-API-Key: ${jndi:ldap://a.example/a}"),
    (401, b"X-API-Key: <script>alert(1)</script>"),
    (401, b"X-API-Key: %00"),
    (401, b"X-API-Key: \xc3\xa9\xe2\x82\xac"),
    (401, b"X-API-Key: \xff\xfe"),
    (401, b"X-API-Key: \"{K}\""),
    (401, b"X-API-Key: '{K}'"),
    (401, b"X-API-Key: {K}{K}"),
    (401, b"X-API-Key: {K}, {K}"),
    (401, b"X-API-Key: {K},"),
    (401, b"X-API-Key: {K};"),
    (401, b"X-API-Key: {K} x"),
    (401, b"X-API-Key: {K}0"),
    (401, b"X-API-Key: {K}="),
    (401, b"X-API-Key: 0{K}"),
    (401, b"X-API-Key: Bearer {K}"),
    (401, b"X-API-Key: {k-upper}"),
    (401, b"Authorization: {K}"),
    (401, b"Authorization: Bearer"),
    (401, b"Authorization: Bearer "),
    (401, b"Authorization: Bearer{K}"),
    (401, b"Authorization: Basic {K}"),
    (401, b"Authorization: Token {K}"),
    (401, b"Authorization: ApiKey {K}"),
    (401, b"Authorization: Bearer Bearer {K}"),
    (401, b"Authorization: Bearer {K} {K}"),
    (401, b"Authorization: Bearer \"{K}\""),
    (401, b"Authorization: Bearer {K},"),
    (401, b"Proxy-Authorization: Bearer {K}"),
    (401, b"X_API_Key: {K}"),
    (401, b"X.API.Key: {K}"),
    (401, b"X-API-Keys: {K}"),
    (401, b"XAPIKey: {K}"),
    (401, b"API-Key: {K}"),
    (401, b"apikey: {K}"),
    (401, b"Cookie: api_key={K}"),
    (401, b"Cookie: X-API-Key={K}"),
    (401, b"Connection: X-API-Key"),
    // Two are one too many, even if they are equal; a bad first is not rescued by a good second.
    (400, b"X-API-Key: {K}\r\nX-API-Key: {K}"),
    (400, b"X-API-Key: {K}\r\nx-api-key: wrong"),
    (400, b"X-API-Key: wrong\r\nX-API-Key: {K}"),
    (400, b"X-API-Key: {K}\r\nX-API-Key:"),
    (400, b"X-API-Key:\r\nX-API-Key: {K}"),
    (400, b"X-API-Key: {K}\r\nAuthorization: Bearer {K}"),
    (400, b"X-API-Key: wrong\r\nAuthorization: Bearer {K}"),
    (400, b"X-API-Key: gp_live_x\r\nAuthorization: Bearer {K}"),
    (400, b"X-API-Key: {K}\r\nAuthorization: Bearer gp_wrong"),
    (400, b"Authorization: Bearer {K}\r\nAuthorization: Bearer {K}"),
    (400, b"Authorization: Basic eDp5\r\nAuthorization: Bearer {K}"),
    (401, b"X-API-Key: wrong\r\nAuthorization: Bearer wrong"),
];

/// A good key, said in an allowed way.
const RIGHT: &[&str] = &[
    "X-API-Key: {K}",
    "x-api-key: {K}",
    "X-API-KEY:{K}",
    "X-API-Key:   {K}   ",
    "X-API-Key:\t{K}\t",
    "Authorization: Bearer {K}",
    "authorization: bearer {K}",
    "Authorization: BEARER {K}",
    "X-API-Key:\r\nAuthorization: Bearer {K}",
    "X-API-Key: {K}\r\nConnection: X-API-Key",
];

/// Ways to a place that the key does not open.
const TARGETS: &[(u16, &str)] = &[
    (401, "/files/a?api_key={K}"),
    (401, "/files/a?X-API-Key={K}"),
    (401, "/files/a?access_token={K}"),
    (401, "/api/v1/orders/{K}"),
    (401, "/admin"),
    (401, "/api/v1/profile"),
];

pub fn attacks() -> Vec<Attack> {
    let with = |lines: &[u8]| {
        let start: &[u8] = b"GET /files/a HTTP/1.1\r\nHost: a.example\r\n";
        [start, lines, b"\r\nConnection: close\r\n\r\n"].concat()
    };
    let wrong = WRONG.iter().map(|(status, lines)| refused_as(*status, with(lines)));
    let right = RIGHT.iter().map(|lines| forwarded("GET /files/a", with(lines.as_bytes())));
    let bare = TARGETS.iter().map(|(status, target)| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
        refused_as(*status, head)
    });
    let long = |size: usize| with(format!("X-API-Key: gp_live_{}", "a".repeat(size)).as_bytes());
    let sized =
        [refused_as(401, long(2_000)), refused_as(401, long(20_000)), refused(long(50_000))];
    wrong.chain(right).chain(bare).chain(sized).collect()
}
