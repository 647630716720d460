//! A record as bytes. Only what cannot change its meaning between versions is written: an outcome
//! is its code, never a number.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Method;
use jiff::Timestamp;
use uuid::Uuid;

use crate::decision::Outcome;
use crate::store::UsageRecord;

const USER: u8 = 1;
const KEY: u8 = 2;
const ROUTE: u8 = 4;
const UPSTREAM: u8 = 8;
const V6: u8 = 16;

pub(super) fn encode(record: &UsageRecord, into: &mut Vec<u8>) {
    let flag = |bit: u8, is_set: bool| if is_set { bit } else { 0 };
    into.push(
        flag(USER, record.user_id.is_some())
            | flag(KEY, record.key_id.is_some())
            | flag(ROUTE, record.route.is_some())
            | flag(UPSTREAM, record.upstream_time_us.is_some())
            | flag(V6, record.client_ip.is_ipv6()),
    );
    into.extend(record.at.as_microsecond().to_le_bytes());
    into.extend(record.request_id.as_bytes());
    for id in [record.user_id, record.key_id].iter().flatten() {
        into.extend(id.as_bytes());
    }
    into.extend(record.status.to_le_bytes());
    into.extend(record.gateway_time_us.to_le_bytes());
    into.extend(record.upstream_time_us.iter().flat_map(|time| time.to_le_bytes()));
    into.extend(record.request_bytes.to_le_bytes());
    into.extend(record.response_bytes.to_le_bytes());
    match record.client_ip {
        IpAddr::V4(ip) => into.extend(ip.octets()),
        IpAddr::V6(ip) => into.extend(ip.octets()),
    }
    for text in [&*record.node, record.method.as_str(), &*record.path, record.outcome.code()] {
        encode_text(text, into);
    }
    if let Some(route) = &record.route {
        encode_text(route, into);
    }
}

/// Texts have bounds where they are made, far below this one.
fn encode_text(text: &str, into: &mut Vec<u8>) {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    into.extend((text.len() as u16).to_le_bytes());
    into.extend(text.as_bytes());
}

/// Takes a record from the front of `from`; `None` when it does not begin with one.
pub(super) fn decode(from: &mut &[u8]) -> Option<UsageRecord> {
    let [flags] = take(from)?;
    let has = |bit: u8| flags & bit != 0;
    let at = Timestamp::from_microsecond(i64::from_le_bytes(take(from)?)).ok()?;
    let request_id = Uuid::from_bytes(take(from)?);
    let user_id = if has(USER) { Some(Uuid::from_bytes(take(from)?)) } else { None };
    let key_id = if has(KEY) { Some(Uuid::from_bytes(take(from)?)) } else { None };
    let status = u16::from_le_bytes(take(from)?);
    let gateway_time_us = u32::from_le_bytes(take(from)?);
    let upstream_time_us = if has(UPSTREAM) { Some(u32::from_le_bytes(take(from)?)) } else { None };
    let request_bytes = u64::from_le_bytes(take(from)?);
    let response_bytes = u64::from_le_bytes(take(from)?);
    let client_ip = match has(V6) {
        true => Ipv6Addr::from(take::<16>(from)?).into(),
        false => Ipv4Addr::from(take::<4>(from)?).into(),
    };
    Some(UsageRecord {
        at,
        request_id,
        node: text(from)?.into(),
        user_id,
        key_id,
        method: Method::from_bytes(text(from)?.as_bytes()).ok()?,
        path: text(from)?.into(),
        status,
        outcome: Outcome::parse(text(from)?)?,
        route: if has(ROUTE) { Some(text(from)?.into()) } else { None },
        gateway_time_us,
        upstream_time_us,
        request_bytes,
        response_bytes,
        client_ip,
    })
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let length = u16::from_le_bytes(take(from)?).into();
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    std::str::from_utf8(taken).ok()
}
