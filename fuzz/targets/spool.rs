//! A segment of the spool is read as far as it is whole: never a panic, never more than was there.
#![no_main]

use gatepost::usage::segment::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(contents) = read(bytes) else { return };
    // No record is shorter than its fixed part, so that no count can be made up.
    assert!(contents.records.len() <= bytes.len() / 16);
});
