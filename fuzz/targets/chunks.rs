//! The framing of a chunked body is followed the same in whatever pieces it comes.
#![no_main]

use gatepost::proxy::chunks::Chunks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let whole = Chunks::default().follow(body);
    let mut pieces = Chunks::default();
    let piecewise = body.chunks(3).try_for_each(|piece| pieces.follow(piece));
    assert_eq!(whole, piecewise);
    if whole.is_ok() {
        let first = body.split(|&b| b == b'\r').next().unwrap_or_default();
        assert!(first.iter().take(1).all(u8::is_ascii_hexdigit), "it begins with a size");
        assert!(!first.contains(&b'\n'), "and its line ends in CR LF");
    }
});
