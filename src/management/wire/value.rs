//! What a member of a body may hold: parsers from JSON to types that cannot be wrong.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Number, Value, json};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::members::Valid;
use super::path::parse_id;
use crate::key::{Digest, Environment, Pattern, Permission, Quota, Rate};

const MAX_NAME: usize = 200;
const MAX_TEXT: usize = 500;
const MAX_LABEL: usize = 100;
const MAX_EMAIL: usize = 254;
const MAX_ROLE_NAME: usize = 64;
const MAX_ENTRIES: usize = 100;
const MAX_METADATA: usize = 4096;
/// Of the numbers in it that are no integers.
const LARGEST: f64 = 1e15;
const SMALLEST: f64 = 1e-15;
const MAX_KEY: usize = 1024;
/// A year, in seconds.
const MAX_DURATION: i64 = 365 * 86_400;

/// A name for people: any script, trimmed, one line.
pub fn name(value: Value) -> Valid<String> {
    line(value, MAX_NAME)
}

/// A word or two to group things by.
pub fn label(value: Value) -> Valid<String> {
    line(value, MAX_LABEL)
}

/// A description or a reason.
pub fn text(value: Value) -> Valid<String> {
    line(value, MAX_TEXT)
}

/// Trimmed, not empty, in one of Unicode's several spellings, and without what terminals and logs
/// would obey or what makes a text read as another one.
fn line(value: Value, longest: usize) -> Valid<String> {
    let text: String = string(value)?.trim().nfc().collect();
    if text.chars().all(is_invisible) {
        return Err("must not be empty".into());
    }
    if text.chars().count() > longest {
        return Err(format!("is longer than {longest} characters"));
    }
    if text.contains(char::is_control) {
        return Err("must not hold control characters".into());
    }
    if text.contains(misleads) {
        return Err("must not hold characters that break lines or turn text around".into());
    }
    Ok(text)
}

/// Line separators, and the embeddings, overrides and isolates of bidirectional text.
fn misleads(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Takes no place of its own, so that two texts with and without it look the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Something that mail could be sent to, as far as looking at it can tell.
pub fn email(value: Value) -> Valid<String> {
    let text = line(value, MAX_EMAIL)?;
    if text.len() > MAX_EMAIL {
        return Err(format!("is longer than {MAX_EMAIL} bytes"));
    }
    let plausible = !text.contains(char::is_whitespace)
        && !text.contains(is_invisible)
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.contains('@') && domain.split('.').all(|l| !l.is_empty())
        });
    if plausible { Ok(text) } else { Err("is not an email address".into()) }
}

/// A role's name stands in paths, so it is made of what needs no encoding there.
pub fn role_name(value: Value) -> Valid<String> {
    let text = string(value)?;
    let fits = text.len() <= MAX_ROLE_NAME
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
    if fits {
        return Ok(text);
    }
    Err("must be a lower-case letter, then up to 63 of a-z, 0-9, `_` and `-`".into())
}

pub fn role_names(value: Value) -> Valid<Vec<String>> {
    each(value, role_name)
}

pub fn permission(value: Value) -> Valid<Permission> {
    Permission::parse(&string(value)?)
        .map_err(|error| format!("is not a permission: {}", error.reason))
}

pub fn patterns(value: Value) -> Valid<Vec<Pattern>> {
    each(value, |entry| {
        Pattern::parse(&string(entry)?)
            .map_err(|error| format!("is not a permission: {}", error.reason))
    })
}

pub fn environment(value: Value) -> Valid<Environment> {
    Environment::parse(&string(value)?)
        .ok_or_else(|| "must be 2 to 12 of a-z and 0-9, such as `live` or `test`".into())
}

/// Networks or single addresses.
pub fn networks(value: Value) -> Valid<Vec<IpNet>> {
    each(value, |entry| {
        let text = string(entry)?;
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let Ok(net) = text.parse::<IpNet>() else {
            return Err("is neither an address nor a network such as 10.0.0.0/8".into());
        };
        // 10.1.2.3/8 is half an address and half a network: which one was meant?
        if net.trunc() != net {
            return Err(format!("has bits beyond its prefix: perhaps {} is meant", net.trunc()));
        }
        Ok(net)
    })
}

/// RFC 3339, to the microsecond, which is what the store keeps.
pub fn time(value: Value) -> Valid<Timestamp> {
    parse_time(&string(value)?).ok_or_else(|| {
        "must be a time such as 2030-01-31T12:00:00Z, before the last days of 9999".into()
    })
}

pub fn parse_time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok().filter(|_| looks_like_rfc_3339(text))?;
    Timestamp::from_microsecond(time.as_microsecond()).ok()
}

/// How long something lasts: a whole number and its unit, such as `24h`.
pub fn duration(value: Value) -> Valid<SignedDuration> {
    let text = string(value)?;
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => Some(1),
        "min" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let number = number.parse::<i64>().ok();
    let total = number.zip(seconds).and_then(|(number, seconds)| number.checked_mul(seconds));
    total
        .filter(|total| *total <= MAX_DURATION)
        .map(SignedDuration::from_secs)
        .ok_or_else(|| "must be a duration up to 365d, such as `0s`, `30min`, `24h` or `7d`".into())
}

pub fn boolean(value: Value) -> Valid<bool> {
    value.as_bool().ok_or_else(|| "must be true or false".into())
}

pub fn id(value: Value) -> Valid<Uuid> {
    parse_id(&string(value)?).ok_or_else(|| "must be an id".into())
}

/// SHA-256 of something, as 64 hex digits.
pub fn digest(value: Value) -> Valid<Digest> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(string(value)?, &mut bytes)
        .map(|()| Digest::from_bytes(bytes))
        .map_err(|_| "must be a SHA-256 digest: 64 hex digits".into())
}

/// A key as its owner sends it: any text, within a length, whose memory is cleared.
pub fn presented_key(value: Value) -> Valid<Zeroizing<String>> {
    let text = Zeroizing::new(string(value)?);
    if text.is_empty() || text.len() > MAX_KEY {
        return Err(format!("must have 1 to {MAX_KEY} bytes"));
    }
    Ok(text)
}

/// The parser takes more of ISO 8601 than two people would read the same way.
fn looks_like_rfc_3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let offset = bytes.strip_suffix(b"Z").is_some() || {
        let tail = bytes.last_chunk::<6>();
        tail.is_some_and(|tail| matches!(tail, [b'+' | b'-', _, _, b':', _, _]))
    };
    separators.iter().all(|&(at, separator)| bytes.get(at) == Some(&separator))
        && offset
        && !text.contains(['[', ','])
}

/// A small JSON object for the operator's own notes, as every store gives it back.
pub fn metadata(value: Value) -> Valid<Value> {
    if !value.is_object() {
        return Err("must be an object".into());
    }
    if kept_size(&value)? > MAX_METADATA {
        return Err(format!("is larger than {MAX_METADATA} bytes"));
    }
    Ok(value)
}

/// As Postgres writes it: with spaces, and numbers digit by digit. It keeps every text but U+0000.
fn kept_size(value: &Value) -> Valid<usize> {
    let text = |text: &str| match text.contains('\0') {
        true => Err("must not hold the character U+0000".to_owned()),
        false => Ok(json!(text).to_string().len()),
    };
    match value {
        Value::String(value) => text(value),
        Value::Number(number) => number_size(number),
        Value::Array(items) => {
            items.iter().try_fold(2, |size, item| Ok(size + 2 + kept_size(item)?))
        }
        Value::Object(members) => members
            .iter()
            .try_fold(2, |size, (name, value)| Ok(size + 4 + text(name)? + kept_size(value)?)),
        Value::Null | Value::Bool(_) => Ok(5),
    }
}

/// Integers of 64 bits, and what a `double` holds of about as many digits on either side of the
/// point. Larger integers would lose digits on the way.
fn number_size(number: &Number) -> Valid<usize> {
    let value = number.as_f64().unwrap_or(f64::INFINITY);
    if number.is_i64() || number.is_u64() {
        return Ok(number.to_string().len());
    }
    if value == 0.0 || (SMALLEST..LARGEST).contains(&value.abs()) {
        return Ok(value.to_string().len() + 2);
    }
    Err("must hold no number beyond 1e15, other than integers of 64 bits, or within 1e-15".into())
}

/// Kept as it was written; a limit that cannot be read must not be accepted.
pub fn rate(value: Value) -> Valid<String> {
    let text = string(value)?;
    match Rate::parse(&text) {
        Some(_) => Ok(text),
        None => Err(format!("is not a rate: {}", Rate::EXAMPLES)),
    }
}

pub fn quota(value: Value) -> Valid<String> {
    let text = string(value)?;
    match Quota::parse(&text) {
        Some(_) => Ok(text),
        None => Err(format!("is not a quota: {}", Quota::EXAMPLES)),
    }
}

fn string(value: Value) -> Valid<String> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err("must be a string".into()),
    }
}

/// A list of at most a hundred; one that comes twice counts once.
fn each<T: PartialEq>(value: Value, parse: impl Fn(Value) -> Valid<T>) -> Valid<Vec<T>> {
    let Value::Array(entries) = value else { return Err("must be a list".into()) };
    if entries.len() > MAX_ENTRIES {
        return Err(format!("has more than {MAX_ENTRIES} entries"));
    }
    let mut parsed = Vec::with_capacity(entries.len());
    for (at, entry) in entries.into_iter().enumerate() {
        let entry = parse(entry).map_err(|reason| format!("entry {} {reason}", at + 1))?;
        if !parsed.contains(&entry) {
            parsed.push(entry);
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_trimmed_and_may_be_in_any_script() {
        assert_eq!(name(json!("  Zoë 王  ")).unwrap(), "Zoë 王");
        assert_eq!(name(json!("王".repeat(200))).unwrap().chars().count(), 200);
        assert_eq!(name(json!("Zoe\u{308}")).unwrap(), "Zo\u{eb}", "one spelling");
        for wrong in [
            json!(""),
            json!("   "),
            json!("\u{200b}"),
            json!("王".repeat(201)),
            json!("a\u{1b}[31m"),
            json!("a\u{202e}b"),
            json!("a\u{2028}b"),
            json!(7),
        ] {
            assert!(name(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_email_has_one_at_and_a_domain() {
        for right in ["a@b", "zoë@example.com", "o'hara+x@mail.example.co.uk"] {
            assert_eq!(email(json!(right)).unwrap(), right);
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for wrong in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b..c",
            "a@.b",
            "a@b\u{0}",
            "a\u{200b}@b",
            &long,
        ] {
            assert!(email(json!(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_role_is_named_as_it_stands_in_a_path() {
        assert_eq!(role_name(json!("order-reader_2")).unwrap(), "order-reader_2");
        let long = "a".repeat(65);
        for wrong in ["", "Admin", "2nd", "a/b", "a b", "..", "ä", long.as_str()] {
            assert!(role_name(json!(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_say_what_they_mean() {
        let nets = networks(json!(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "10.0.0.0/8"]));
        let texts: Vec<_> = nets.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
        let error = networks(json!(["10.1.2.3/8"])).unwrap_err();
        assert!(error.contains("entry 1") && error.contains("10.0.0.0/8"), "{error}");
        assert!(networks(json!(["10.0.0.0/33"])).is_err());
        assert!(networks(json!(vec!["10.0.0.1"; 101])).is_err());
        assert!(networks(json!("10.0.0.0/8")).is_err());
    }

    #[test]
    fn times_are_rfc_3339_and_kept_to_the_microsecond() {
        let at = time(json!("2030-01-31T12:00:00.123456789+02:00")).unwrap();
        assert_eq!(at.to_string(), "2030-01-31T10:00:00.123456Z");
        for wrong in [
            "2030-01-31",
            "20300131T120000Z",
            "2030-01-31 12:00:00Z",
            "2030-01-31T12:00:00",
            "2030-02-31T12:00:00Z",
            "2030-01-31T12:00:00Z[UTC]",
            "2030-01-31T12:00:00+0200",
            "2030-01-31T12:00:00+02",
            "2030-01-31T12:00:00,5Z",
            "2030-01-31T24:00:00Z",
            "9999-12-31T23:59:59Z",
            "tomorrow",
        ] {
            assert!(time(json!(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_whole_and_bounded() {
        let seconds = |text: &str| duration(json!(text)).map(|lasting| lasting.as_secs());
        assert_eq!(seconds("0s"), Ok(0));
        assert_eq!(seconds("30min"), Ok(1800));
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("365d"), Ok(365 * 86_400));
        for wrong in ["", "0", "s", "-1s", "1.5h", "366d", "99999999999999999999d", "1 h", "1m"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn metadata_is_a_small_object_that_every_store_can_keep() {
        assert!(metadata(json!({"team": "orders", "tags": ["a"]})).is_ok());
        for wrong in [
            json!([]),
            json!("x"),
            json!({"x": "y".repeat(5000)}),
            json!({"x": ["\u{0}"]}),
            json!({"\u{0}": 1}),
            json!({"x": 1e15}),
            json!({"x": [-1.79e308]}),
            json!({"x": vec![1e-15; 300]}),
            json!({"x": 5e-324}),
        ] {
            assert!(metadata(wrong).is_err());
        }
        for right in [json!(u64::MAX), json!(i64::MIN), json!(0.1), json!(1e-15), json!(-0.0)] {
            assert!(metadata(json!({ "x": right })).is_ok());
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let value = json!(text);
            let _ = (email(value.clone()), time(value.clone()), role_name(value.clone()));
            let _ = (networks(json!([text])), name(value));
        }
    }
}
