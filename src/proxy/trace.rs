//! Request ids and trace context.

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use uuid::Uuid;

pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A request id: a UUID v7. It is a name and no secret, so ordinary randomness will do.
pub fn new_request_id(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let mut random = [0; 10];
    random[..8].copy_from_slice(&fastrand::u64(..).to_ne_bytes());
    random[8..].copy_from_slice(&fastrand::u16(..).to_ne_bytes());
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// The request id that a trusted proxy gave, if it gave just one and it is a UUID.
pub fn given_request_id(headers: &HeaderMap) -> Option<Uuid> {
    Uuid::try_parse_ascii(only(headers, &X_REQUEST_ID)?.as_bytes()).ok()
}

/// A UUID as a header value.
pub fn uuid_value(id: Uuid) -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    // Hex digits and hyphens are valid in a header.
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text))
        .unwrap_or(HeaderValue::from_static(""))
}

/// Continues a valid W3C trace, or starts one that carries the request id as its trace id.
pub fn set_traceparent(headers: &mut HeaderMap, request_id: Uuid) {
    if given_traceparent(headers).is_some() {
        return;
    }
    // The state belongs to the trace that made no sense.
    headers.remove(&TRACESTATE);
    headers.insert(&TRACEPARENT, start_trace(request_id));
}

/// The id of the trace that [`set_traceparent`] continues or starts.
pub fn trace_id(headers: &HeaderMap, request_id: Uuid) -> String {
    match given_traceparent(headers) {
        Some(given) => String::from_utf8_lossy(&given[3..35]).into_owned(),
        None => request_id.simple().to_string(),
    }
}

fn given_traceparent(headers: &HeaderMap) -> Option<&[u8]> {
    Some(only(headers, &TRACEPARENT)?.as_bytes()).filter(|value| is_traceparent(value))
}

fn start_trace(request_id: Uuid) -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    // An id of zeros is invalid in the standard.
    let parent = fastrand::u64(1..).to_be_bytes();
    let written = hex::encode_to_slice(request_id.as_bytes(), &mut text[3..35])
        .and_then(|()| hex::encode_to_slice(parent, &mut text[36..52]));
    debug_assert!(written.is_ok(), "the places are as long as the ids");
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""))
}

/// `version-traceid-parentid-flags`; a later version may append to it.
fn is_traceparent(value: &[u8]) -> bool {
    let Some((head, tail)) = value.split_at_checked(55) else { return false };
    let hex = |range: std::ops::Range<usize>| {
        head[range].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |range: std::ops::Range<usize>| head[range].iter().all(|&b| b == b'0');
    let dashes = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
    let well_formed = dashes && hex(0..2) && hex(3..35) && hex(36..52) && hex(53..55);
    let version = &head[..2];
    let ends_well = tail.is_empty() || (version != b"00" && tail[0] == b'-');
    well_formed && version != b"ff" && !zero(3..35) && !zero(36..52) && ends_well
}

/// The value of a header that came exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn trace(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&TRACEPARENT, HeaderValue::from_static(value));
        }
        headers.insert(&TRACESTATE, HeaderValue::from_static("vendor=1"));
        set_traceparent(&mut headers, new_request_id(Timestamp::UNIX_EPOCH));
        headers
    }

    #[test]
    fn a_valid_trace_is_continued() {
        let headers = trace(&[VALID]);
        assert_eq!(trace_id(&headers, Uuid::nil()), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(headers["traceparent"], VALID);
        assert_eq!(headers["tracestate"], "vendor=1");
    }

    #[test]
    fn anything_else_starts_a_new_one() {
        let wrong: &[&[&'static str]] = &[
            &[],
            &[""],
            &[VALID, VALID],
            &["ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
            &["00-00000000000000000000000000000000-00f067aa0ba902b7-01"],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"],
            &["00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"],
            &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"],
        ];
        for values in wrong {
            let headers = trace(values);
            let started = headers["traceparent"].as_bytes();
            assert!(is_traceparent(started), "{values:?}");
            assert!(!values.contains(&headers["traceparent"].to_str().expect("ASCII")));
            assert!(!headers.contains_key("tracestate"));
        }
    }

    #[test]
    fn a_trace_that_starts_here_is_found_by_the_request_id() {
        let mut headers = HeaderMap::new();
        let id = new_request_id(Timestamp::UNIX_EPOCH);
        let told = trace_id(&headers, id);
        set_traceparent(&mut headers, id);
        assert_eq!(trace_id(&headers, Uuid::nil()), told);
    }

    #[test]
    fn a_later_version_may_say_more() {
        assert!(is_traceparent(b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"));
    }

    #[test]
    fn request_ids_sort_by_time_and_differ() {
        let now: Timestamp = "2026-11-23T03:00:00Z".parse().expect("a time");
        let later: Timestamp = "2026-11-23T03:00:01Z".parse().expect("a time");
        let (first, second) = (new_request_id(now), new_request_id(later));
        assert_eq!(first.get_version_num(), 7);
        assert!(first < second);
        assert_ne!(first, new_request_id(now));
        assert_eq!(uuid_value(first), first.to_string());
    }

    #[test]
    fn only_one_uuid_is_a_request_id() {
        let id = "0197d2f0-0000-7000-8000-000000000000";
        let mut headers = HeaderMap::new();
        assert_eq!(given_request_id(&headers), None);
        headers.append(&X_REQUEST_ID, HeaderValue::from_static(id));
        assert_eq!(given_request_id(&headers), id.parse().ok());
        headers.append(&X_REQUEST_ID, HeaderValue::from_static(id));
        assert_eq!(given_request_id(&headers), None);
    }
}
