//! No header that only we may set survives, in any spelling; and no other is lost.
#![no_main]

use gatepost::proxy::hygiene::remove_reserved;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

/// As a CGI-like server reads a name.
fn read_as(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fuzz_target!(|names: &[u8]| {
    let mut headers = HeaderMap::new();
    for name in names.split(|&b| b == b'\n').take(100) {
        if let Ok(name) = HeaderName::from_bytes(name) {
            headers.append(name, HeaderValue::from_static("v"));
        }
    }
    for peer_is_trusted in [false, true] {
        let mut left = headers.clone();
        remove_reserved(&mut left, peer_is_trusted);
        for name in headers.keys() {
            let read = read_as(name.as_str());
            let ours = read.starts_with("x_gatepost_") || read == "x_request_id";
            assert!(!(ours && left.contains_key(name)), "{name} came through");
            let forwarding = read.starts_with("x_forwarded_") || read == "x_real_ip";
            assert!(!(forwarding && !peer_is_trusted && left.contains_key(name)), "{name}");
            let ordinary = !name.as_str().contains(['_', '.', '-']) && name.as_str().len() > 9;
            assert!(!ordinary || left.contains_key(name), "{name} was lost");
        }
    }
});
