use std::time::Duration;

use http::{HeaderName, HeaderValue};

pub static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The limits that can apply to a request, by whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitName {
    /// Of the owner's tier: one pool over all their keys.
    TierRate,
    TierQuota,
    /// The key's own.
    KeyRate,
    KeyQuota,
    /// The route's: for each key, or for each client where it is public.
    RouteRate,
}

impl LimitName {
    pub const fn as_str(self) -> &'static str {
        match self {
            LimitName::TierRate => "tier-rate",
            LimitName::TierQuota => "tier-quota",
            LimitName::KeyRate => "key-rate",
            LimitName::KeyQuota => "key-quota",
            LimitName::RouteRate => "route-rate",
        }
    }
}

/// Where a caller stands with the tightest of the limits that apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub limit: LimitName,
    /// So many requests are allowed …
    pub count: u64,
    /// … in so much time.
    pub window: Duration,
    /// So many are left now.
    pub remaining: u64,
    /// Until all of them are.
    pub reset: Duration,
}

impl Standing {
    /// The one that a caller will run into first.
    pub fn tighter(self, other: Self) -> Self {
        let tightness = |s: &Self| (s.remaining, std::cmp::Reverse(s.reset));
        if tightness(&other) < tightness(&self) { other } else { self }
    }

    /// Whole seconds until all of them are.
    pub fn reset_seconds(&self) -> u64 {
        whole_seconds(self.reset)
    }

    /// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    pub fn headers(&self) -> [(&'static HeaderName, HeaderValue); 2] {
        let name = self.limit.as_str();
        let (remaining, reset) = (integer(self.remaining), self.reset_seconds());
        let (count, window) = (integer(self.count), whole_seconds(self.window));
        [
            (&RATE_LIMIT, item(name, [(";r=", remaining), (";t=", reset)])),
            (&RATE_LIMIT_POLICY, item(name, [(";q=", count), (";w=", window)])),
        ]
    }
}

/// Structured fields know integers of fifteen digits.
fn integer(number: u64) -> u64 {
    number.min(999_999_999_999_999)
}

/// Rounded up: who waits so long has waited long enough.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A structured field's item with its parameters. Every limited answer has two of these, so that
/// formatting machinery would show.
fn item(name: &str, parameters: [(&str, u64); 2]) -> HeaderValue {
    let mut text = String::with_capacity(64);
    for part in ["\"", name, "\""] {
        text.push_str(part);
    }
    for (parameter, number) in parameters {
        text.push_str(parameter);
        text.push_str(itoa::Buffer::new().format(number));
    }
    // Names of ours and digits can always stand in a header.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(remaining: u64, reset: u64) -> Standing {
        Standing {
            limit: LimitName::TierRate,
            count: 60,
            window: Duration::from_secs(60),
            remaining,
            reset: Duration::from_millis(reset),
        }
    }

    #[test]
    fn the_headers_are_structured_fields_in_whole_seconds() {
        let [(_, limit), (_, policy)] = standing(59, 1_001).headers();
        assert_eq!(limit, "\"tier-rate\";r=59;t=2");
        assert_eq!(policy, "\"tier-rate\";q=60;w=60");
    }

    #[test]
    fn the_tightest_has_the_fewest_left_and_then_the_longest_wait() {
        assert_eq!(standing(5, 0).tighter(standing(4, 0)).remaining, 4);
        assert_eq!(standing(4, 0).tighter(standing(5, 0)).remaining, 4);
        assert_eq!(standing(4, 1).tighter(standing(4, 2)), standing(4, 2));
    }
}
