use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::ApiError;

/// Deeper JSON is refused: nothing of ours is, and it would only feed a recursion.
const MAX_DEPTH: usize = 32;

/// The members of a JSON object, taken one by one. What is left at the end is refused, so that a
/// mistyped member never passes for an absent one.
#[derive(Debug)]
pub struct Members {
    left: Vec<(String, Value)>,
    known: Vec<&'static str>,
}

/// What a member's parser answers: the value, or what is wrong with it, to be read after the
/// member's name.
pub type Valid<T> = Result<T, String>;

impl Members {
    pub fn read<T>(
        json: &[u8],
        read: impl FnOnce(&mut Members) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let unread: Unread<'_> = serde_json::from_slice(json).map_err(|error| {
            let reason = format!("The body is not what it should be: {error}");
            // The parser repeats what it read, however long that is.
            ApiError::InvalidBody { field: None, reason: reason.chars().take(200).collect() }
        })?;
        let left: Result<_, _> = unread.0.into_iter().map(read_one).collect();
        let mut members = Members { left: left?, known: Vec::new() };
        let value = read(&mut members)?;
        match members.left.first() {
            None => Ok(value),
            Some((name, _)) => Err(members.unknown(name)),
        }
    }

    /// A member that must be there and not null.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Value) -> Valid<T>,
    ) -> Result<T, ApiError> {
        let value = self.optional(name, parse)?;
        value.ok_or_else(|| ApiError::field(name, "is required"))
    }

    /// A member that may be absent or, with the same meaning, null.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Value) -> Valid<T>,
    ) -> Result<Option<T>, ApiError> {
        Ok(self.nullable(name, parse)?.flatten())
    }

    /// A member of a patch that may be absent, but is never null (RFC 7396: null removes).
    pub fn changed<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Value) -> Valid<T>,
    ) -> Result<Option<T>, ApiError> {
        match self.nullable(name, parse)? {
            Some(None) => Err(ApiError::field(name, "cannot be removed")),
            changed => Ok(changed.flatten()),
        }
    }

    /// A member of a patch that may be absent, null or a value, which are three things.
    pub fn nullable<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Value) -> Valid<T>,
    ) -> Result<Option<Option<T>>, ApiError> {
        self.known.push(name);
        let Some(at) = self.left.iter().position(|(key, _)| key == name) else { return Ok(None) };
        match self.left.swap_remove(at).1 {
            Value::Null => Ok(Some(None)),
            value => match parse(value) {
                Ok(value) => Ok(Some(Some(value))),
                Err(reason) => Err(ApiError::field(name, reason)),
            },
        }
    }

    fn unknown(&self, name: &str) -> ApiError {
        let reason = match self.known.join("`, `").as_str() {
            "" => "is not a member of this body: it has none".into(),
            known => format!("is not a member of this body: it takes `{known}`"),
        };
        ApiError::field(&short(name), reason)
    }
}

/// Each by itself, so that what cannot be read is named.
fn read_one((name, text): (String, &RawValue)) -> Result<(String, Value), ApiError> {
    let value: Value = serde_json::from_str(text.get()).map_err(|error| {
        let reason = format!("cannot be read: {error}");
        ApiError::field(&short(&name), reason.chars().take(200).collect::<String>())
    })?;
    if depth(&value) >= MAX_DEPTH {
        return Err(ApiError::field(&short(&name), "is nested too deeply"));
    }
    Ok((name, value))
}

fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The members of an object, and what they hold as it is written.
struct Unread<'a>(Vec<(String, &'a RawValue)>);

/// By hand, because a member given twice must be refused: two parsers would take different ones.
impl<'de> Deserialize<'de> for Unread<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Unread<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unread<'de>, A::Error> {
        let mut left: Vec<(String, &'de RawValue)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            if left.len() == MAX_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            if left.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("`{}` is given twice", short(&name))));
            }
            left.push((name, value));
        }
        Ok(Unread(left))
    }
}

/// More than any body has; it keeps the search for a name given twice short.
const MAX_MEMBERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::wire::value;

    fn patch(json: &str) -> Result<(Option<String>, Option<Option<String>>), ApiError> {
        Members::read(json.as_bytes(), |members| {
            let name = members.changed("name", value::name)?;
            Ok((name, members.nullable("note", value::name)?))
        })
    }

    fn refused_field(json: &str) -> Option<String> {
        match patch(json) {
            Err(ApiError::InvalidBody { field, .. }) => field,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn absent_null_and_value_are_three_things() {
        assert_eq!(patch("{}").unwrap(), (None, None));
        assert_eq!(patch(r#"{"note":null}"#).unwrap(), (None, Some(None)));
        let both = patch(r#"{"name":"a","note":"b"}"#).unwrap();
        assert_eq!(both, (Some("a".into()), Some(Some("b".into()))));
    }

    #[test]
    fn a_wrong_member_is_refused_by_name() {
        assert_eq!(refused_field(r#"{"name":null}"#).as_deref(), Some("name"));
        assert_eq!(refused_field(r#"{"name":7}"#).as_deref(), Some("name"));
        assert_eq!(refused_field(r#"{"nmae":"a"}"#).as_deref(), Some("nmae"));
    }

    #[test]
    fn a_body_that_two_parsers_could_read_two_ways_is_refused() {
        assert_eq!(refused_field(r#"{"name":"a","name":"b"}"#), None);
        assert_eq!(refused_field(r#"{"name":"a"} {"name":"b"}"#), None);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["", "[]", "null", "7", "\"name\"", "{", "{]", "\u{feff}{}"] {
            assert_eq!(refused_field(json), None, "{json}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| format!(r#"{{"deep":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert_eq!(refused_field(&nested(40)).as_deref(), Some("deep"));
        // Deeper than the parser itself goes.
        assert_eq!(refused_field(&nested(10_000)).as_deref(), Some("deep"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for value in ["1e400", "\"\\ud800\"", "[1e999]", "{\"a\":\"\\udfff\"}"] {
            let json = format!(r#"{{"name":"a","note":{value}}}"#);
            assert_eq!(refused_field(&json).as_deref(), Some("note"), "{json}");
        }
    }
}
