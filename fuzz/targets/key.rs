//! A key is whole or it is none.
#![no_main]

use gatepost::key::ParsedKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|key: &[u8]| {
    let Ok(parsed) = ParsedKey::parse(key) else { return };
    assert!(key.starts_with(b"gp_") && key.is_ascii());
    assert!(key[3..].starts_with(parsed.environment.as_bytes()));
    // The checksum finds any one byte that is wrong, missing or too much.
    assert!(ParsedKey::parse(&key[1..]).is_err());
    assert!(ParsedKey::parse(&key[..key.len() - 1]).is_err());
    let mut wrong = key.to_vec();
    for at in 0..key.len() {
        wrong[at] = if key[at] == b'0' { b'1' } else { b'0' };
        assert!(ParsedKey::parse(&wrong).is_err(), "byte {at} does not matter");
        wrong[at] = key[at];
    }
});
