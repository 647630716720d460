//! Usage counted by the minute: what analytics are answered from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::UsageRecord;

const MINUTE: i64 = 60_000_000;

/// What is counted together. The bucket of the latency is one more dimension, so that adding up
/// is all that a histogram needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RollupKey {
    pub minute: Timestamp,
    /// Nil for requests without a key that we know.
    pub user_id: Uuid,
    pub key_id: Uuid,
    /// Empty when none matched.
    pub route: String,
    pub outcome: String,
    pub latency: i16,
}

/// Sums over requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub requests: i64,
    /// Answered with a status of 500 or more.
    pub errors: i64,
    pub gateway_time_us: i64,
    pub upstream_time_us: i64,
    pub request_bytes: i64,
    pub response_bytes: i64,
}

impl Sums {
    pub fn add(&mut self, other: &Sums) {
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.gateway_time_us = self.gateway_time_us.saturating_add(other.gateway_time_us);
        self.upstream_time_us = self.upstream_time_us.saturating_add(other.upstream_time_us);
        self.request_bytes = self.request_bytes.saturating_add(other.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(other.response_bytes);
    }

    fn of(record: &UsageRecord) -> Self {
        Self {
            requests: 1,
            errors: i64::from(record.status >= 500),
            gateway_time_us: record.gateway_time_us.into(),
            upstream_time_us: record.upstream_time_us.unwrap_or(0).into(),
            request_bytes: record.request_bytes.try_into().unwrap_or(i64::MAX),
            response_bytes: record.response_bytes.try_into().unwrap_or(i64::MAX),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    pub key: RollupKey,
    pub sums: Sums,
}

/// A batch by the minute, in the order of the keys: nodes that write at the same time lock rows
/// in the same order, and do not wait for each other in a circle.
pub(super) fn rollups(records: &[UsageRecord]) -> Vec<Rollup> {
    let mut minutes = BTreeMap::<_, BTreeMap<_, Sums>>::new();
    for record in records {
        let total = u64::from(record.gateway_time_us)
            + u64::from(record.upstream_time_us.unwrap_or_default());
        let rest = (
            record.user_id.unwrap_or_default(),
            record.key_id.unwrap_or_default(),
            record.route.as_deref().unwrap_or_default(),
            record.outcome.code(),
            bucket(total),
        );
        let sums = minutes.entry(minute(record.at)).or_default().entry(rest).or_default();
        sums.add(&Sums::of(record));
    }
    let rollup = |minute, rest, sums| {
        let (user_id, key_id, route, outcome, latency): (_, _, &str, &str, _) = rest;
        let (route, outcome) = (route.to_owned(), outcome.to_owned());
        Rollup { key: RollupKey { minute, user_id, key_id, route, outcome, latency }, sums }
    };
    let flat = minutes
        .into_iter()
        .flat_map(|(minute, rest)| rest.into_iter().map(move |(rest, sums)| (minute, rest, sums)));
    flat.map(|(minute, rest, sums)| rollup(minute, rest, sums)).collect()
}

/// The minute that an instant is in.
pub fn minute(at: Timestamp) -> Timestamp {
    let micros = at.as_microsecond();
    Timestamp::from_microsecond(micros - micros.rem_euclid(MINUTE)).unwrap_or(at)
}

/// The bucket of a latency: 0 is below 16 µs, then four for each doubling, the last from 2^27 µs
/// (two minutes) up. So a percentile is off by less than a fifth.
fn bucket(micros: u64) -> i16 {
    let micros = micros.min(1 << 27);
    if micros < 16 {
        return 0;
    }
    let octave = micros.ilog2();
    let quarter = (micros >> (octave - 2)) & 3;
    // At most 4 · 23 + 1.
    (4 * (octave - 4) + quarter as u32 + 1) as i16
}

/// Where a bucket begins and ends, in microseconds.
pub fn bounds(bucket: i16) -> (u64, u64) {
    let start = |bucket: i16| match bucket {
        ..=0 => 0,
        _ => {
            let (octave, quarter) = ((bucket - 1) / 4 + 4, (bucket - 1) % 4);
            (4 + quarter as u64) << (octave.min(40) - 2)
        }
    };
    (start(bucket), start(bucket.saturating_add(1)))
}

/// By what the counts can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    User,
    Key,
    Route,
    Outcome,
}

impl Dimension {
    pub(super) const fn column(self) -> &'static str {
        match self {
            Dimension::User => "user_id",
            Dimension::Key => "api_key_id",
            Dimension::Route => "route",
            Dimension::Outcome => "outcome",
        }
    }
}

/// Which counts.
#[derive(Clone, Debug)]
pub struct RollupFilter {
    /// A whole minute.
    pub from: Timestamp,
    /// A whole minute, which is not meant any more.
    pub to: Timestamp,
    pub user_id: Option<Uuid>,
    pub key_id: Option<Uuid>,
    pub route: Option<String>,
    pub outcome: Option<String>,
}

/// How counts are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    Whole,
    /// By steps of so many minutes from the start.
    Steps(i64),
    /// By a dimension, for those of its values that have the most requests.
    Top(Dimension, i64),
}

/// The counts of one bucket of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSums {
    /// The number of the step, the value of the dimension, or nothing.
    pub group: String,
    pub latency: i16,
    pub sums: Sums,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_begin_where_the_one_before_ends() {
        assert_eq!(bucket(0), 0);
        assert_eq!((bucket(15), bucket(16), bucket(19), bucket(20)), (0, 1, 1, 2));
        assert_eq!(bucket(u64::MAX), bucket(1 << 27));
        assert_eq!(bounds(0), (0, 16));
        assert_eq!(bounds(1), (16, 20));
        assert_eq!(bounds(4), (28, 32));
    }

    proptest! {
        #[test]
        fn a_latency_is_inside_its_bucket(micros in 0..=1_u64 << 27) {
            let (start, end) = bounds(bucket(micros));
            prop_assert!(start <= micros && micros < end);
            prop_assert!(start == 0 || end - start <= start / 4);
        }
    }
}
