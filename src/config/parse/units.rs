use std::time::Duration;

use crate::config::reader::Fault;
use crate::key::{Quota, Rate};

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
    Rate::parse(text).ok_or_else(|| Fault::new("is not a rate").hint(Rate::EXAMPLES))
}

/// `10000/month`, `…/week`, `…/day`, or `unlimited`.
pub fn quota(text: &str) -> Result<Quota, Fault> {
    Quota::parse(text).ok_or_else(|| Fault::new("is not a quota").hint(Quota::EXAMPLES))
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
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
}
