//! A head that passes has one reading: its lines, its Host, its framing.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use gatepost::decision::{Opening, open};
use gatepost::policy::{Access, CredentialRules, PathPattern, Policy, Route, RouteOptions};
use gatepost::request::RequestView;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use libfuzzer_sys::fuzz_target;

/// Everything is public, so that only a head's form refuses it.
static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let route = Route {
        name: "all".into(),
        path: PathPattern::parse("/{*rest}").expect("a path"),
        methods: None,
        host: None,
        access: Access::Public,
        upstream: "upstream".into(),
        options: RouteOptions::default(),
    };
    Policy::new(vec![route], CredentialRules::default(), "fuzz").expect("one route")
});

fuzz_target!(|head: &[u8]| {
    let Some((method, target, headers)) = as_a_framework_would(head) else { return };
    let view = RequestView {
        method: &method,
        target,
        authority: None,
        version: Version::HTTP_11,
        headers: &headers,
        raw_head: Some(head),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let Opening::Allow(_) = open(&view, &POLICY) else { return };
    let end = head.windows(4).position(|window| window == b"\r\n\r\n");
    let lines = &head[..end.unwrap_or(head.len())];
    assert!(!lines.contains(&0) && lines.len() <= 32 * 1024);
    let text = String::from_utf8_lossy(lines).to_ascii_lowercase();
    assert!(text.split("\r\n").all(|line| !line.contains(['\r', '\n'])));
    let named = |name: &str| text.split("\r\n").filter(|line| line.starts_with(name)).count();
    assert_eq!(named("host:"), 1);
    assert!(named("content-length:") + named("transfer-encoding:") <= 1);
});

/// A lenient parser: what it understands, it passes on.
fn as_a_framework_would(head: &[u8]) -> Option<(Method, &[u8], HeaderMap)> {
    let mut lines = head.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    let line = lines.find(|line| !line.is_empty())?;
    let mut words = line.split(|&b| b == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let target = words.next()?;
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|&b| b == b':')?;
        let name = HeaderName::from_bytes(line[..colon].trim_ascii()).ok()?;
        headers.append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    Some((method, target, headers))
}
