//! A target that passes means one path to every reader.
#![no_main]

use gatepost::policy::{Exceptions, check_target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|target: &[u8]| {
    // What holds exceptions is for the route to take.
    if check_target(target) != Ok(Exceptions::NONE) {
        return;
    }
    let path = target.split(|&b| b == b'?').next().unwrap_or_default();
    let once = decoded(path);
    assert_eq!(decoded(&once), once, "decoding twice changes nothing");
    let slashes = |path: &[u8]| path.iter().filter(|&&b| b == b'/').count();
    assert_eq!(slashes(&once), slashes(path), "no slash was hidden");
    let text = std::str::from_utf8(&once).expect("what passes is UTF-8");
    assert!(!text.contains(['\\', ';', '#', '?']) && !text.contains(char::is_control));
    let segments: Vec<&str> = text[1..].split('/').collect();
    assert!(segments.iter().all(|segment| !matches!(*segment, "." | "..")));
    assert!(segments.iter().rev().skip(1).all(|segment| !segment.is_empty()));
});

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| byte == b'%') {
            Some(escaped) => {
                decoded.push(escaped);
                rest = &tail[2..];
            }
            None => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    decoded
}
