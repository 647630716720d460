//! Whatever happens to the bytes, what is read is what was written, and what is missing is known.

use std::net::IpAddr;

use http::Method;
use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::decision::Outcome;

const ID: Uuid = Uuid::from_u128(0x0192_f3a0_0000_7000_8000_0000_dead_beef);

prop_compose! {
    fn any_record()(
        at in 0..4_000_000_000_000_000_i64,
        ids in any::<(u128, Option<u128>, Option<u128>)>(),
        texts in ("[a-z0-9:.-]{0,40}", "[A-Z]{1,8}", "\\PC{0,200}", proptest::option::of("[a-z-]{0,30}")),
        numbers in any::<(u16, u32, Option<u32>, u64, u64)>(),
        outcome in 0..Outcome::all().count(),
        client_ip in any::<IpAddr>(),
    ) -> UsageRecord {
        UsageRecord {
            at: Timestamp::from_microsecond(at).expect("in range"),
            request_id: Uuid::from_u128(ids.0),
            node: texts.0.into(),
            user_id: ids.1.map(Uuid::from_u128),
            key_id: ids.2.map(Uuid::from_u128),
            route: texts.3.map(Into::into),
            method: Method::from_bytes(texts.1.as_bytes()).expect("a token"),
            path: texts.2.into(),
            status: numbers.0,
            outcome: Outcome::all().nth(outcome).expect("in range"),
            gateway_time_us: numbers.1,
            upstream_time_us: numbers.2,
            request_bytes: numbers.3,
            response_bytes: numbers.4,
            client_ip,
        }
    }
}

fn frames() -> impl Strategy<Value = Vec<Vec<UsageRecord>>> {
    proptest::collection::vec(proptest::collection::vec(any_record(), 1..5), 0..6)
}

/// A segment, and where each of its frames begins.
fn segment(frames: &[Vec<UsageRecord>]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut starts, mut first) = (header(ID), Vec::new(), 0);
    for records in frames {
        starts.push(bytes.len());
        let mut frame = Frame::new();
        records.iter().for_each(|record| frame.push(record));
        bytes.extend_from_slice(frame.seal(ID, first));
        first += records.len() as u32;
    }
    (bytes, starts)
}

/// Whether `part` is `whole` with some of it left out.
fn is_subsequence(part: &[UsageRecord], whole: &[UsageRecord]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|record| whole.any(|other| other == record))
}

proptest! {
    #[test]
    fn what_was_written_is_read(frames in frames()) {
        let contents = read(&segment(&frames).0).expect("a segment");
        prop_assert_eq!(contents.id, ID);
        prop_assert_eq!(contents.records, frames.concat());
        prop_assert_eq!(contents.damage, Damage::default());
    }

    #[test]
    fn a_torn_end_costs_the_frame_that_it_is_in_alone(frames in frames(), cut in any::<prop::sample::Index>()) {
        let (bytes, starts) = segment(&frames);
        let end = HEADER + cut.index(bytes.len() - HEADER + 1);
        let contents = read(&bytes[..end]).expect("a segment");
        let ends = starts.iter().copied().skip(1).chain([bytes.len()]);
        let whole = if starts.is_empty() { 0 } else { ends.filter(|frame| *frame <= end).count() };
        prop_assert_eq!(contents.records, frames[..whole].concat());
        let is_torn = end != HEADER && end != bytes.len() && !starts.contains(&end);
        prop_assert_eq!(contents.damage.places, u32::from(is_torn));
    }

    #[test]
    fn a_flipped_bit_costs_one_frame_and_is_counted(
        frames in frames().prop_filter("there is a frame", |frames| !frames.is_empty()),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let (mut bytes, starts) = segment(&frames);
        let at = HEADER + place.index(bytes.len() - HEADER);
        bytes[at] ^= 1 << bit;
        let hit = starts.iter().rposition(|start| *start <= at).expect("inside a frame");
        let mut kept = frames.clone();
        let lost = kept.remove(hit);
        let contents = read(&bytes).expect("a segment");
        prop_assert_eq!(contents.records, kept.concat());
        prop_assert_eq!(contents.damage.places, 1);
        // A last frame whose header is gone takes with it how many there were.
        let is_known = hit + 1 < frames.len() || at >= starts[hit] + FRAME_HEADER;
        prop_assert_eq!(contents.damage.records, if is_known { lost.len() as u32 } else { 0 });
    }

    #[test]
    fn nothing_is_made_up_out_of_damage(
        frames in frames(),
        noise in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let (mut bytes, _) = segment(&frames);
        let length = bytes.len();
        for (place, byte) in noise {
            bytes[place.index(length)] = byte;
        }
        if let Ok(contents) = read(&bytes) {
            prop_assert!(is_subsequence(&contents.records, &frames.concat()));
        }
    }

    #[test]
    fn random_bytes_hold_no_record(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut segment = header(ID);
        segment.extend(&bytes);
        prop_assert!(read(&segment).expect("a header").records.is_empty());
        let _ = read(&bytes);
    }
}

#[test]
fn a_path_that_looks_like_a_frame_is_not_one() {
    // Whoever does not know the segment's id cannot make a frame that is believed.
    let mut forged = Frame::new();
    forged.push(&UsageRecord {
        at: Timestamp::UNIX_EPOCH,
        request_id: Uuid::nil(),
        node: "".into(),
        user_id: None,
        key_id: None,
        route: None,
        method: Method::GET,
        path: "/forged".into(),
        status: 200,
        outcome: Outcome::Allow,
        gateway_time_us: 0,
        upstream_time_us: None,
        request_bytes: 0,
        response_bytes: 0,
        client_ip: IpAddr::from([127, 0, 0, 1]),
    });
    let mut bytes = header(ID);
    bytes.extend_from_slice(forged.seal(Uuid::from_u128(1), 0));
    assert!(read(&bytes).expect("a header").records.is_empty());
}

#[test]
fn numbers_that_cannot_be_do_not_overflow() {
    let mut frame = Frame::new();
    frame.count = u32::MAX;
    let mut bytes = header(ID);
    for first in [0, u32::MAX] {
        bytes.extend_from_slice(frame.seal(ID, first));
    }
    let contents = read(&bytes).expect("a header");
    assert!(contents.records.is_empty());
    assert_eq!(contents.damage.records, u32::MAX);
}

#[test]
fn a_newer_version_is_told_apart_from_damage() {
    let mut bytes = header(ID);
    bytes[4] = 2;
    assert_eq!(read(&bytes), Err(Unreadable::Version(2)));
    bytes[0] = 0;
    assert_eq!(read(&bytes), Err(Unreadable::Header));
    assert_eq!(read(&[]), Err(Unreadable::Empty));
}
