//! What passes the grammar reads the same to a parser that decodes, normalises and repairs.

use gatepost::policy::{Exceptions, check_target};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::fixture::{Request, RouteExt, policy, route};

/// Pieces that have got round gateways, and harmless ones between them.
pub fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"/",
        b"//",
        b".",
        b"..",
        b"/../",
        b"/./",
        b"%2e",
        b"%2E%2e",
        b"%2f",
        b"%5c",
        b"\\",
        b";",
        b";x",
        b"%3b",
        b"%25",
        b"%252e",
        b"%00",
        b"%0a",
        b"#",
        b"?",
        b"%3f",
        b"%23",
        b"%c0%ae",
        b"%c0%af",
        b"%ef%bc%8f",
        b"%EF%BC%8E",
        b"%e2%80%a5",
        b"%e2%80%a4",
        b"%cd%be",
        b"%u002e",
        b"%c3%a9",
        b"%20",
        b"%40",
        b":",
        b"@",
        b"a",
        b"B",
        b"~",
        b"-",
        b"%61",
        b"%",
        b"%4",
        b"\xc3\xa9",
        b"\xff",
        b"\0",
        b"admin",
    ];
    prop_oneof![
        9 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..8).prop_map(|pieces| [b"/", &pieces.concat()[..]].concat())
}

/// Decoded, in NFKC: what the most lenient parser starts from.
fn decoded(path: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let escape = rest.get(1..3).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        (rest, _) = match (first, byte) {
            (b'%', Some(byte)) => (&rest[3..], bytes.push(byte)),
            _ => (tail, bytes.push(*first)),
        };
    }
    String::from_utf8(bytes).expect("what passes is UTF-8").nfkc().collect()
}

/// Everything that servers are known to do to a path before they look at it.
fn repaired(path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = path.split(['?', '#', '\0']).next().unwrap_or_default();
    let mut kept: Vec<&str> = Vec::new();
    for segment in path[1..].split('/').map(|s| s.split(';').next().unwrap_or_default()) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let empty = kept.iter().rev().skip(1).filter(|segment| segment.is_empty()).count();
    format!("/{}{}", "!".repeat(empty), kept.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_passes_needs_no_repair(target in target()) {
        if check_target(&target) != Ok(Exceptions::NONE) {
            return Ok(());
        }
        let path = target.split(|&b| b == b'?').next().unwrap_or_default();
        let once = decoded(path);
        prop_assert_eq!(&repaired(&once), &once);
        prop_assert_eq!(decoded(once.as_bytes()), once.clone(), "decoding twice changes nothing");
        prop_assert_eq!(once.split('/').count(), path.split(|&b| b == b'/').count());
        prop_assert!(!once.contains(char::is_control));
    }

    #[test]
    fn random_bytes_never_panic_and_never_allow(target in prop::collection::vec(any::<u8>(), 0..64)) {
        let policy = policy([route("/{*rest}").all_of(&["orders:read"]), route("/public").public()]);
        let opening = Request::get(&target).opening(&policy);
        let path = target.split(|&b| b == b'?').next();
        prop_assert!(opening != "allow" || path == Some(b"/public"));
    }

    /// A protected route and a public catch-all on one upstream: whatever a lenient upstream takes
    /// for the protected path must not come in through the catch-all.
    #[test]
    fn no_spelling_of_a_protected_path_gets_in_through_a_catch_all(target in spelling(b"/api/admin")) {
        let policy = policy([route("/{*rest}").public(), route("/api/admin").all_of(&["admin"])]);
        prop_assert_ne!(Request::get(&target).opening(&policy), "allow", "{}", target.escape_ascii());
    }
}

/// The path with some characters in the other case, escaped, or wide; perhaps with a slash more.
fn spelling(path: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let characters = path.iter().map(|&byte| {
        let wide = 0xff00 + u32::from(byte) - 0x20;
        let wide: String = char::from_u32(wide).into_iter().collect();
        let escaped: String = wide.bytes().map(|b| format!("%{b:02x}")).collect();
        prop_oneof![
            6 => Just(vec![byte]),
            1 => Just(vec![byte.to_ascii_uppercase()]),
            1 => Just(format!("%{byte:02X}").into_bytes()),
            1 => Just(escaped.into_bytes()),
        ]
    });
    let ends = prop::sample::select(vec!["", "/", "//", "/.", ";x", "%20", "?x", "#x"]);
    (characters.collect::<Vec<_>>(), ends)
        .prop_map(|(characters, end)| [&characters.concat(), end.as_bytes()].concat())
        // An escaped space makes another path even to a lenient reader.
        .prop_filter("the path itself", |target| !target.ends_with(b"%20"))
}
