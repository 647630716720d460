//! The only wall clock. Everything that judges or records takes `now` as an argument.

use jiff::Timestamp;

/// The current time, to the microsecond, which is what both stores keep.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
