use std::time::Duration;

use crate::config::reader::Fault;

/// So many requests in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: u64,
    pub per: Duration,
}

/// So many requests in a calendar period, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    Unlimited,
    Limited { count: u64, period: QuotaPeriod },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaPeriod {
    Day,
    Week,
    Month,
}

const DAY: u64 = 24 * 60 * 60;

/// Longer than any sensible setting, and short enough that no sum of times overflows.
const LONGEST: Duration = Duration::from_secs(3660 * DAY);

/// `250ms`, `10s`, `15min`, `1h`, `1d`; never zero.
pub fn duration(text: &str) -> Result<Duration, Fault> {
    match duration_or_zero(text)? {
        Duration::ZERO => Err(Fault::new("must be longer than nothing")),
        duration => Ok(duration),
    }
}

pub fn duration_or_zero(text: &str) -> Result<Duration, Fault> {
    let fault = || Fault::new("is not a duration").hint("for example 250ms, 10s, 15min, 1h or 1d");
    let (count, unit) = number_and_unit(text).ok_or_else(fault)?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "min" => Duration::from_secs(60),
        "h" => Duration::from_secs(60 * 60),
        "d" => Duration::from_secs(DAY),
        "m" => return Err(fault().hint("did you mean `min` (minutes) or `ms` (milliseconds)?")),
        _ => return Err(fault()),
    };
    let duration = u32::try_from(count).ok().and_then(|count| unit.checked_mul(count));
    duration
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| Fault::new("is longer than ten years"))
}

/// `512B`, `64KiB`, `10MiB`, `1GiB`.
pub fn size(text: &str) -> Result<u64, Fault> {
    let fault = || Fault::new("is not a size").hint("for example 512B, 64KiB, 10MiB or 1GiB");
    let (count, unit) = number_and_unit(text).ok_or_else(fault)?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        "KB" | "kB" => return Err(fault().hint("did you mean `KiB` (1024 bytes)?")),
        "MB" => return Err(fault().hint("did you mean `MiB` (1024 KiB)?")),
        "GB" => return Err(fault().hint("did you mean `GiB` (1024 MiB)?")),
        _ => return Err(fault()),
    };
    match count.checked_mul(1 << shift) {
        None => Err(Fault::new("is larger than any size")),
        Some(0) => Err(Fault::new("must be larger than nothing")),
        Some(size) => Ok(size),
    }
}

/// `100/s`, `60/min`, `1000/h`, `10000/d`.
pub fn rate(text: &str) -> Result<Rate, Fault> {
    let fault = || Fault::new("is not a rate").hint("for example 100/s, 60/min, 1000/h or 5000/d");
    let (count, unit) = text.split_once('/').ok_or_else(fault)?;
    let per = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 60 * 60,
        "d" => DAY,
        _ => return Err(fault()),
    };
    Ok(Rate { count: positive(count).ok_or_else(fault)?, per: Duration::from_secs(per) })
}

/// `10000/month`, `…/week`, `…/day`, or `unlimited`.
pub fn quota(text: &str) -> Result<Quota, Fault> {
    let fault = || {
        Fault::new("is not a quota").hint("for example 10000/month, 500/week, 100/day or unlimited")
    };
    if text == "unlimited" {
        return Ok(Quota::Unlimited);
    }
    let (count, unit) = text.split_once('/').ok_or_else(fault)?;
    let period = match unit {
        "day" => QuotaPeriod::Day,
        "week" => QuotaPeriod::Week,
        "month" => QuotaPeriod::Month,
        _ => return Err(fault()),
    };
    Ok(Quota::Limited { count: positive(count).ok_or_else(fault)?, period })
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

fn positive(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|&count| is_number && count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("15min"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(duration_or_zero("0s"), Ok(Duration::ZERO));
        for wrong in ["", "10", "s", "0s", "-1s", "+1s", "1.5h", "10 s", "1w", "5m", "99999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(duration("5m").unwrap_err().hint.unwrap().contains("`min`"));
    }

    #[test]
    fn sizes() {
        assert_eq!(size("512B"), Ok(512));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for wrong in ["", "1", "0B", "1MB", "KiB", "18446744073709551615TiB", "1 GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(size("10MB").unwrap_err().hint.unwrap().contains("`MiB`"));
    }

    #[test]
    fn rates_and_quotas() {
        assert_eq!(rate("60/min"), Ok(Rate { count: 60, per: Duration::from_secs(60) }));
        assert_eq!(rate("100/s"), Ok(Rate { count: 100, per: Duration::from_secs(1) }));
        for wrong in ["", "60", "/s", "0/s", "-1/s", "+1/s", "60/month", "60 / s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        let monthly = Quota::Limited { count: 10_000, period: QuotaPeriod::Month };
        assert_eq!(quota("10000/month"), Ok(monthly));
        assert_eq!(quota("unlimited"), Ok(Quota::Unlimited));
        for wrong in ["", "10000", "10000/s", "0/day", "Unlimited"] {
            assert!(quota(wrong).is_err(), "{wrong}");
        }
    }
}
