//! `ETag` and `If-Match`: a change that builds on an old version is refused.

use http::header::{HeaderMap, HeaderValue, IF_MATCH};
use jiff::Timestamp;

/// The version of a thing: when it last changed, to the microsecond, which is what the store
/// judges `If-Match` by, in the transaction of the change.
pub fn etag(updated_at: Timestamp) -> HeaderValue {
    let tag = format!("\"{:x}\"", updated_at.as_microsecond());
    HeaderValue::from_str(&tag).expect("hex digits and quotes are a header value")
}

/// The versions that a change may build on; `None` when the client does not say, or takes any.
/// A tag that is none of ours, or weak (RFC 9110 compares strongly here), matches nothing.
pub fn if_match(headers: &HeaderMap) -> Option<Vec<Timestamp>> {
    let mut tags = headers
        .get_all(IF_MATCH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&b| b == b','))
        .map(<[u8]>::trim_ascii)
        .peekable();
    tags.peek()?;
    let tags: Vec<_> = tags.collect();
    if tags == [b"*"] {
        return None;
    }
    Some(tags.into_iter().filter_map(version).collect())
}

fn version(tag: &[u8]) -> Option<Timestamp> {
    let hex = std::str::from_utf8(tag).ok()?.strip_prefix('"')?.strip_suffix('"')?;
    Timestamp::from_microsecond(i64::from_str_radix(hex, 16).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(values: &[&str]) -> Option<Vec<Timestamp>> {
        let headers = values.iter().map(|value| (IF_MATCH, value.parse().unwrap()));
        if_match(&headers.collect())
    }

    #[test]
    fn a_version_comes_back_as_what_it_was_made_of() {
        let at: Timestamp = "2030-01-31T12:00:00.123456Z".parse().unwrap();
        let tag = etag(at);
        assert_eq!(versions(&[tag.to_str().unwrap()]), Some(vec![at]));
        let two = format!("\"1\", {}", tag.to_str().unwrap());
        assert!(versions(&[&two]).unwrap().contains(&at));
    }

    #[test]
    fn nothing_said_and_any_are_no_condition() {
        assert_eq!(versions(&[]), None);
        assert_eq!(versions(&["*"]), None);
    }

    #[test]
    fn what_is_no_tag_of_ours_matches_nothing() {
        for tag in ["", "7", "\"xyz\"", "W/\"7\"", "\"", "\"ffffffffffffffffff\""] {
            assert_eq!(versions(&[tag]), Some(Vec::new()), "{tag}");
        }
    }
}
