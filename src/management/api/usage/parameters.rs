//! The parameters that operations on usage share.

use jiff::{SignedDuration, Timestamp};

use crate::clock;
use crate::management::wire::{ApiError, Params, parse_id};
use crate::store::{Dimension, RollupFilter, UsageFilter, minute};

/// What analytics are of when nobody says from when.
const DEFAULT_RANGE: SignedDuration = SignedDuration::from_hours(24);

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Which counts: whole minutes, the last day unless given.
pub fn rollups(params: &mut Params) -> Result<RollupFilter, ApiError> {
    let from = params.time("from")?;
    let to = params.time("to")?.map_or_else(|| minute(clock::now()) + MINUTE, ceiling);
    let from = minute(from.unwrap_or_else(|| to.saturating_sub(DEFAULT_RANGE).unwrap_or(to)));
    if from >= to {
        return Err(ApiError::InvalidParameter {
            field: "from".into(),
            reason: "must be before `to`".into(),
        });
    }
    Ok(RollupFilter {
        from,
        to,
        user_id: params.optional("user_id", "an id", parse_id)?,
        key_id: params.optional("key_id", "an id", parse_id)?,
        route: params.text("route")?,
        outcome: params.text("outcome")?,
    })
}

/// A part of a minute counts as the whole.
fn ceiling(at: Timestamp) -> Timestamp {
    match minute(at) {
        whole if whole == at => whole,
        begun => begun.saturating_add(MINUTE).unwrap_or(begun),
    }
}

/// The number of minutes in `15min`, `1h`, `1d`.
pub fn step(params: &mut Params) -> Result<Option<i64>, ApiError> {
    params.optional("step", "whole minutes, such as 1min, 6h or 1d", |text| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let minutes: i64 = match unit {
            "min" => 1,
            "h" => 60,
            "d" => 24 * 60,
            _ => return None,
        };
        count.parse::<i64>().ok()?.checked_mul(minutes).filter(|minutes| *minutes > 0)
    })
}

pub fn dimension(
    params: &mut Params,
    known: &'static [(&'static str, Dimension)],
) -> Result<Option<(&'static str, Dimension)>, ApiError> {
    let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
    params.optional("by", &format!("one of {}", names.join(", ")), |text| {
        known.iter().find(|(name, _)| *name == text).copied()
    })
}

pub fn records(params: &mut Params) -> Result<UsageFilter, ApiError> {
    Ok(UsageFilter {
        from: params.time("from")?,
        to: params.time("to")?,
        user_id: params.optional("user_id", "an id", parse_id)?,
        key_id: params.optional("key_id", "an id", parse_id)?,
        route: params.text("route")?,
        outcome: params.text("outcome")?,
        method: params.text("method")?,
        status: params.optional("status", "a status such as 403", |text| {
            text.parse().ok().filter(|status| (100..1000).contains(status))
        })?,
        request_id: params.optional("request_id", "an id", parse_id)?,
        client_ip: params.optional("client_ip", "an address", |text| text.parse().ok())?,
    })
}
