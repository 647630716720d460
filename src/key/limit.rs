use std::time::Duration;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const DAY: u64 = 24 * 60 * 60;

/// A microsecond between two requests: what is faster is no limit, and cannot be measured.
const FASTEST: Duration = Duration::from_micros(1);

/// So many requests in so much time, and so many of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: u64,
    pub per: Duration,
    /// The count, unless given.
    pub burst: u64,
}

/// So many requests in a calendar period, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    Unlimited,
    Limited { count: u64, period: QuotaPeriod },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuotaPeriod {
    Day,
    Week,
    Month,
}

impl Rate {
    pub const EXAMPLES: &'static str = "for example 100/s, 60/min, 1000/h or 5000/d";

    /// `100/s`, `60/min`, `1000/h`, `10000/d`; at most a million a second.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once('/')?;
        let per = Duration::from_secs(match unit {
            "s" => 1,
            "min" => 60,
            "h" => 60 * 60,
            "d" => DAY,
            _ => return None,
        });
        let count = positive(count)?;
        let rate = Self { count, per, burst: count };
        (rate.interval() >= FASTEST).then_some(rate)
    }

    /// The time in which one request becomes possible again.
    pub fn interval(&self) -> Duration {
        Duration::from_nanos((self.per.as_nanos() / u128::from(self.count)) as u64)
    }
}

impl Quota {
    pub const EXAMPLES: &'static str = "for example 10000/month, 500/week, 100/day or unlimited";

    /// `10000/month`, `…/week`, `…/day`, or `unlimited`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "unlimited" {
            return Some(Quota::Unlimited);
        }
        let (count, unit) = text.split_once('/')?;
        let period = match unit {
            "day" => QuotaPeriod::Day,
            "week" => QuotaPeriod::Week,
            "month" => QuotaPeriod::Month,
            _ => return None,
        };
        // The stores count in signed numbers.
        let count = positive(count).filter(|&count| i64::try_from(count).is_ok())?;
        Some(Quota::Limited { count, period })
    }
}

impl QuotaPeriod {
    pub const fn as_str(self) -> &'static str {
        match self {
            QuotaPeriod::Day => "day",
            QuotaPeriod::Week => "week",
            QuotaPeriod::Month => "month",
        }
    }

    /// The first instants of the period that holds `now`, and of the next one. Weeks begin on
    /// Monday.
    pub fn around(self, now: Timestamp) -> (Timestamp, Timestamp) {
        let today = now.to_zoned(TimeZone::UTC).date();
        let first = match self {
            QuotaPeriod::Day => today,
            QuotaPeriod::Week => {
                today.saturating_sub(i64::from(today.weekday().since(Weekday::Monday)).days())
            }
            QuotaPeriod::Month => today.first_of_month(),
        };
        let next = match self {
            QuotaPeriod::Day => first.saturating_add(1.day()),
            QuotaPeriod::Week => first.saturating_add(1.week()),
            QuotaPeriod::Month => first.saturating_add(1.month()),
        };
        (midnight(first), midnight(next))
    }
}

fn midnight(date: Date) -> Timestamp {
    // Only the last day that there is has no midnight after it.
    date.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

fn positive(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|&count| is_number && count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let a_minute = Duration::from_secs(60);
        assert_eq!(Rate::parse("60/min"), Some(Rate { count: 60, per: a_minute, burst: 60 }));
        assert_eq!(Rate::parse("100/s").unwrap().interval(), Duration::from_millis(10));
        for wrong in ["", "60", "/s", "0/s", "-1/s", "+1/s", "60/month", "60 / s", "1000001/s"] {
            assert_eq!(Rate::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn quotas() {
        let monthly = Quota::Limited { count: 10_000, period: QuotaPeriod::Month };
        assert_eq!(Quota::parse("10000/month"), Some(monthly));
        assert_eq!(Quota::parse("unlimited"), Some(Quota::Unlimited));
        for wrong in ["", "10000", "10000/s", "0/day", "Unlimited", "9223372036854775808/day"] {
            assert_eq!(Quota::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn periods_are_those_of_the_calendar_in_utc() {
        let around = |period: QuotaPeriod, now: &str| {
            let (start, end) = period.around(now.parse().unwrap());
            (start.to_string(), end.to_string())
        };
        let of =
            |start: &str, end: &str| (format!("{start}T00:00:00Z"), format!("{end}T00:00:00Z"));
        let now = "2028-02-29T23:59:59.999999Z";
        assert_eq!(around(QuotaPeriod::Day, now), of("2028-02-29", "2028-03-01"));
        assert_eq!(around(QuotaPeriod::Week, now), of("2028-02-28", "2028-03-06"));
        assert_eq!(around(QuotaPeriod::Month, now), of("2028-02-01", "2028-03-01"));
        let first = "2028-03-01T00:00:00Z";
        assert_eq!(around(QuotaPeriod::Month, first), of("2028-03-01", "2028-04-01"));
        let sunday = "2026-11-22T12:00:00Z";
        assert_eq!(around(QuotaPeriod::Week, sunday), of("2026-11-16", "2026-11-23"));
    }
}
