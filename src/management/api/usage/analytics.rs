//! Usage counted, from the counts by the minute.

use std::collections::BTreeMap;

use axum::extract::State;
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::parameters;
use crate::management::api::profile::{self, Limit};
use crate::management::caller::Caller;
use crate::management::plane::Plane;
use crate::management::wire::{Answer, ApiError, AsyncPage, Format, Line, Params, ok, stream};
use crate::store::{Dimension, GroupSums, Grouping, Rollup, RollupFilter, RollupKey, Sums, bounds};

/// Points of a series.
const MAX_POINTS: i64 = 1_000;

/// Groups told apart, those with the most requests.
const MAX_GROUPS: i64 = 100;

/// Rows read for an export at a time.
const PAGE: usize = 1_000;

const OWN: &[(&str, Dimension)] =
    &[("key", Dimension::Key), ("route", Dimension::Route), ("outcome", Dimension::Outcome)];

const ALL: &[(&str, Dimension)] = &[
    ("user", Dimension::User),
    ("key", Dimension::Key),
    ("route", Dimension::Route),
    ("outcome", Dimension::Outcome),
];

#[derive(Serialize)]
struct Analytics {
    from: Timestamp,
    to: Timestamp,
    totals: Counts,
    /// When `step` is given; steps without requests are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<Map<String, Value>>>,
    /// When `by` is given: the hundred with the most requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<Map<String, Value>>>,
    /// Of one's own usage: where one stands with one's limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Vec<Limit>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Counts {
    requests: i64,
    /// Answered with a status of 500 or more.
    errors: i64,
    request_bytes: i64,
    response_bytes: i64,
    gateway_time_us: i64,
    upstream_time_us: i64,
    /// In microseconds, the gateway's time and the upstream's together.
    latency_us: Option<Percentiles>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Percentiles {
    p50: u64,
    p90: u64,
    p99: u64,
}

/// The counts of the caller's own keys.
pub async fn own(State(plane): State<Plane>, caller: Caller, uri: Uri) -> Answer {
    let (mut filter, step, by) = Params::read(&uri, |params| read_all(params, OWN))?;
    let owner = caller.key.owner.id;
    // Somebody else's counts are not refused: there are none among one's own.
    if filter.user_id.is_some_and(|user| user != owner) {
        return Err(ApiError::NotFound);
    }
    filter.user_id = Some(owner);
    let limits = profile::limits(&caller.key, &plane);
    ok(Analytics { limits: Some(limits), ..count(&plane, filter, step, by).await? })
}

pub async fn read(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, step, by) = Params::read(&uri, |params| read_all(params, ALL))?;
    ok(count(&plane, filter, step, by).await?)
}

type By = Option<(&'static str, Dimension)>;

fn read_all(
    params: &mut Params,
    known: &'static [(&'static str, Dimension)],
) -> Result<(RollupFilter, Option<i64>, By), ApiError> {
    let filter = parameters::rollups(params)?;
    let step = parameters::step(params)?;
    let minutes = (filter.to.duration_since(filter.from)).as_mins();
    if step.is_some_and(|step| minutes / step >= MAX_POINTS) {
        let reason = format!("is too short for this range: it gives more than {MAX_POINTS} points");
        return Err(ApiError::InvalidParameter { field: "step".into(), reason });
    }
    Ok((filter, step, parameters::dimension(params, known)?))
}

async fn count(
    plane: &Plane,
    filter: RollupFilter,
    step: Option<i64>,
    by: By,
) -> Result<Analytics, ApiError> {
    let sums = async |grouping| plane.store().usage_sums(&filter, grouping).await;
    let totals = fold(sums(Grouping::Whole).await?).remove("").unwrap_or_default();
    let mut series = None;
    if let Some(minutes) = step {
        let points = fold(sums(Grouping::Steps(minutes)).await?);
        series = Some(points_of(points, filter.from, minutes));
    }
    let mut groups = None;
    if let Some((name, dimension)) = by {
        let found = fold(sums(Grouping::Top(dimension, MAX_GROUPS)).await?);
        groups = Some(groups_of(found, name));
    }
    let RollupFilter { from, to, .. } = filter;
    Ok(Analytics { from, to, totals, series, groups, limits: None })
}

fn points_of(
    points: BTreeMap<String, Counts>,
    from: Timestamp,
    minutes: i64,
) -> Vec<Map<String, Value>> {
    let numbered = points.into_iter().filter_map(|(number, counts)| {
        let number: i64 = number.parse().ok()?;
        let offset = SignedDuration::from_mins(number.checked_mul(minutes)?);
        Some((from.checked_add(offset).ok()?, counts))
    });
    // By time: the numbers came as texts.
    let points: BTreeMap<_, _> = numbered.collect();
    points.into_iter().map(|(at, counts)| with(("at", json!(at)), &counts)).collect()
}

fn groups_of(groups: BTreeMap<String, Counts>, name: &'static str) -> Vec<Map<String, Value>> {
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.requests));
    let nobody = Uuid::nil().to_string();
    let value = |text: String| if text.is_empty() || text == nobody { None } else { Some(text) };
    groups.into_iter().map(|(text, counts)| with((name, json!(value(text))), &counts)).collect()
}

fn with((name, value): (&str, Value), counts: &Counts) -> Map<String, Value> {
    let mut map = Map::from_iter([(name.to_owned(), value)]);
    if let Value::Object(counts) = json!(counts) {
        map.extend(counts);
    }
    map
}

/// Adds up the buckets of each group.
fn fold(rows: Vec<GroupSums>) -> BTreeMap<String, Counts> {
    let mut groups = BTreeMap::<String, (Sums, BTreeMap<i16, i64>)>::new();
    for row in rows {
        let (sums, histogram) = groups.entry(row.group).or_default();
        sums.add(&row.sums);
        *histogram.entry(row.latency).or_default() += row.sums.requests;
    }
    groups.into_iter().map(|(group, (sums, histogram))| (group, counts(sums, &histogram))).collect()
}

fn counts(sums: Sums, histogram: &BTreeMap<i16, i64>) -> Counts {
    let at = |percent| percentile(histogram, percent);
    Counts {
        requests: sums.requests,
        errors: sums.errors,
        request_bytes: sums.request_bytes,
        response_bytes: sums.response_bytes,
        gateway_time_us: sums.gateway_time_us,
        upstream_time_us: sums.upstream_time_us,
        latency_us: (sums.requests > 0).then(|| Percentiles {
            p50: at(50),
            p90: at(90),
            p99: at(99),
        }),
    }
}

/// The latency that so many percent of the requests do not exceed. It is in the right bucket, where
/// it is found as if the bucket were evenly filled: so it is off by less than a quarter, or 16 µs.
fn percentile(histogram: &BTreeMap<i16, i64>, percent: i64) -> u64 {
    let total: i64 = histogram.values().sum();
    let rank = (i128::from(total) * i128::from(percent) + 99) / 100;
    let mut below = 0;
    for (&bucket, &count) in histogram {
        let (start, end) = bounds(bucket);
        let inside = rank - below;
        below += i128::from(count);
        if rank <= below {
            return start + (i128::from(end - start) * inside / i128::from(count.max(1))) as u64;
        }
    }
    0
}

pub async fn export(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, format) =
        Params::read(&uri, |params| Ok((parameters::rollups(params)?, Format::read(params)?)))?;
    let pages = Pages { plane, filter, after: None, is_over: false };
    stream("analytics", format, COLUMNS.map(|name| (name, Value::Null)).to_vec(), pages).await
}

const COLUMNS: [&str; 13] = [
    "minute",
    "user_id",
    "key_id",
    "route",
    "outcome",
    "latency_from_us",
    "latency_to_us",
    "requests",
    "errors",
    "gateway_time_us",
    "upstream_time_us",
    "request_bytes",
    "response_bytes",
];

fn line(Rollup { key, sums }: &Rollup) -> Line {
    let known = |id: Uuid| (!id.is_nil()).then_some(id);
    let (from, to) = bounds(key.latency);
    let values = [
        json!(key.minute),
        json!(known(key.user_id)),
        json!(known(key.key_id)),
        json!((!key.route.is_empty()).then_some(&key.route)),
        json!(key.outcome),
        json!(from),
        json!(to),
        json!(sums.requests),
        json!(sums.errors),
        json!(sums.gateway_time_us),
        json!(sums.upstream_time_us),
        json!(sums.request_bytes),
        json!(sums.response_bytes),
    ];
    COLUMNS.into_iter().zip(values).collect()
}

struct Pages {
    plane: Plane,
    filter: RollupFilter,
    after: Option<RollupKey>,
    is_over: bool,
}

impl AsyncPage for Pages {
    async fn next(&mut self) -> Result<Option<Vec<Line>>, ApiError> {
        if self.is_over {
            return Ok(None);
        }
        let store = self.plane.store();
        let page = store.usage_rollups(&self.filter, self.after.as_ref(), PAGE).await?;
        self.is_over = page.len() < PAGE;
        self.after = page.last().map(|last| last.key.clone());
        Ok(Some(page.iter().map(line).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentiles_are_found_inside_their_buckets() {
        // Buckets of 16–20 and 28–32 µs.
        let histogram = BTreeMap::from([(1, 50), (4, 50)]);
        assert_eq!(percentile(&histogram, 50), 20);
        assert_eq!(percentile(&histogram, 75), 30);
        assert_eq!(percentile(&histogram, 99), 31);
        assert_eq!(percentile(&BTreeMap::new(), 50), 0);
    }

    fn histogram(latencies: &[u64]) -> BTreeMap<i16, i64> {
        let mut histogram = BTreeMap::new();
        for latency in latencies {
            let holds = |bucket: &i16| (bounds(*bucket).0..bounds(*bucket).1).contains(latency);
            let bucket = (0..100).find(holds).expect("buckets have no gaps");
            *histogram.entry(bucket).or_default() += 1;
        }
        histogram
    }

    proptest! {
        #[test]
        fn a_percentile_is_off_by_less_than_a_quarter(
            mut latencies in proptest::collection::vec(
                prop_oneof![0..100_u64, 100..100_000_u64, 0..=1_u64 << 27], 1..300),
            percent in 1..=99_i64,
        ) {
            let told = percentile(&histogram(&latencies), percent);
            latencies.sort_unstable();
            let rank = (latencies.len() * percent as usize).div_ceil(100);
            let exact = latencies[rank - 1];
            prop_assert!(told.abs_diff(exact) <= (exact / 4).max(16), "{told} for {exact}");
        }
    }
}
