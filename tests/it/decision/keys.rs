use gatepost::key::{LookupId, ParsedKey};
use proptest::prelude::*;

use super::fixture::{Request, RouteExt, id_key, mint, policy, route};

const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[test]
fn a_flipped_character_anywhere_makes_no_key() {
    let minted = mint();
    let key = minted.secret.reveal().as_bytes();
    for place in 0..key.len() {
        // The environment is free text: of it, only the checksum knows.
        for replacement in BASE62.iter().chain(b"_ -\0") {
            let mut flipped = key.to_vec();
            flipped[place] = *replacement;
            assert_eq!(ParsedKey::parse(&flipped).is_ok(), flipped == key, "at {place}");
        }
    }
}

#[test]
fn a_key_is_taken_whole_or_not_at_all() {
    let minted = mint();
    let key = minted.secret.reveal();
    for end in 0..key.len() {
        assert!(ParsedKey::parse(&key.as_bytes()[..end]).is_err());
    }
    for other in [format!("{key}0"), format!(" {key}"), format!("{key}\n"), key.to_uppercase()] {
        assert!(ParsedKey::parse(other.as_bytes()).is_err());
    }
}

#[test]
fn a_megabyte_is_no_key() {
    assert!(ParsedKey::parse(&b"gp_live_".repeat(1 << 17)).is_err());
}

#[test]
fn ids_that_others_made_up_die_without_a_look_up() {
    let id_key = id_key();
    let forged = (0..2000u32).filter(|n| {
        let id = LookupId::parse(format!("{n:016}").as_bytes()).expect("base62");
        id_key.minted(&id)
    });
    assert_eq!(forged.count(), 0);
}

proptest! {
    #[test]
    fn random_bytes_are_no_key(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(ParsedKey::parse(&bytes).is_err());
    }

    /// Close to the shape, but for the checksum.
    #[test]
    fn random_keys_have_no_right_checksum(key in "gp_[a-z0-9]{2,12}_[0-9A-Za-z]{16}_[0-9A-Za-z]{48}0") {
        prop_assume!(!key.ends_with("000000"));
        prop_assert!(ParsedKey::parse(key.as_bytes()).is_err());
    }

    #[test]
    fn random_headers_never_open_the_gate(
        value in prop::collection::vec(prop_oneof![32..127u8, 128..=255u8, Just(b'\t')], 1..100),
        bearer in any::<bool>(),
    ) {
        let policy = policy([route("/a").all_of(&["orders:read"])]);
        let request = match bearer {
            true => Request::get("/a").header("authorization", [b"Bearer ", &value[..]].concat()),
            false => Request::get("/a").header("x-api-key", &value),
        };
        prop_assert_ne!(request.opening(&policy), "allow");
    }
}
