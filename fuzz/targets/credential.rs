//! A credential is found once, by one reader, and nothing of ours is left behind.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use gatepost::decision::{Credential, Opening, open};
use gatepost::policy::{
    Access, CredentialRules, KeySource, PathPattern, Policy, Requirement, Route, RouteOptions,
};
use gatepost::request::RequestView;
use http::{HeaderMap, HeaderValue, Method, Version};
use libfuzzer_sys::fuzz_target;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let route = Route {
        name: "all".into(),
        path: PathPattern::parse("/{*rest}").expect("a path"),
        methods: None,
        host: None,
        access: Access::Require(Requirement::All(Box::default())),
        upstream: "upstream".into(),
        options: RouteOptions::default(),
    };
    let mut rules = CredentialRules::default();
    rules.sources.extend([KeySource::Query("key".into()), KeySource::Cookie("key".into())]);
    Policy::new(vec![route], rules, "fuzz").expect("one route")
});

/// Header lines, each `k` (a key), `a` (Authorization), `c` (Cookie) or `q` (the query), then text.
fuzz_target!(|text: &[u8]| {
    let mut headers = HeaderMap::from_iter(
        [("host", "h")]
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))),
    );
    let mut target = b"/a".to_vec();
    for line in text.split(|&b| b == b'\n') {
        let Some((kind, value)) = line.split_first() else { continue };
        let name = match kind {
            b'k' => "x-api-key",
            b'a' => "authorization",
            b'c' => "cookie",
            b'q' => {
                target = [b"/a?", value].concat();
                continue;
            }
            _ => continue,
        };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        headers.append(name, value);
    }
    let view = RequestView {
        method: &Method::GET,
        target: &target,
        authority: None,
        version: Version::HTTP_11,
        headers: &headers,
        raw_head: None,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let Opening::Ask(question) = open(&view, &POLICY) else { return };
    if let Credential::Minted { .. } = question.credential() {
        let held = |value: &[u8]| value.windows(3).any(|window| window == b"gp_");
        assert!(held(&target) || headers.values().any(|value| held(value.as_bytes())));
    }
    let keys = headers.get_all("x-api-key").iter().filter(|value| !value.is_empty()).count();
    assert!(keys <= 1, "two keys are one too many");
});
