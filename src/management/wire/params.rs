use axum::extract::Query;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use jiff::Timestamp;

use super::ApiError;
use super::path::parse_id;
use super::value;
use crate::store::PageRequest;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;
/// Longer than any id or name that a list is ordered by.
const MAX_CURSOR: usize = 512;

/// The parameters of a request. Whatever nobody asks for is refused, so that a mistyped filter never
/// looks like a wide answer.
pub struct Params {
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
}

/// What a list is ordered by, and what its cursors hold.
#[derive(Clone, Copy, Debug)]
pub enum ListKey {
    Id,
    Name,
    Number,
}

impl Params {
    pub fn read<T>(
        uri: &Uri,
        read: impl FnOnce(&mut Params) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let Query(left) = pairs.map_err(|_| invalid("query", "is not a list of parameters"))?;
        let mut params = Self { left, known: Vec::new() };
        let value = read(&mut params)?;
        match params.left.first() {
            None => Ok(value),
            Some((name, _)) if params.known.contains(&name.as_str()) => {
                Err(invalid(name, "is given more than once"))
            }
            Some((name, _)) => {
                let known = params.known.join("`, `");
                Err(invalid(name, format!("is not a parameter here: it takes `{known}`")))
            }
        }
    }

    /// One parameter, by which it is told who reads them all.
    pub fn peek(uri: &Uri, name: &str) -> Result<Option<String>, ApiError> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let Query(pairs) = pairs.map_err(|_| invalid("query", "is not a list of parameters"))?;
        Ok(pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value))
    }

    /// A parameter that may be absent. `parse` answers `None` for what it cannot take.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        self.known.push(name);
        let Some(at) = self.left.iter().position(|(key, _)| key == name) else { return Ok(None) };
        let (_, value) = self.left.remove(at);
        match parse(&value) {
            Some(value) => Ok(Some(value)),
            None => Err(invalid(name, format!("must be {expected}"))),
        }
    }

    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        self.optional(name, "text without control characters", |text| {
            (!text.contains(char::is_control)).then(|| text.to_owned())
        })
    }

    pub fn boolean(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        self.optional(name, "true or false", |text| text.parse().ok())
    }

    pub fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, ApiError> {
        self.optional(name, "a time such as 2030-01-31T12:00:00Z", value::parse_time)
    }

    /// `limit` and `cursor`.
    pub fn page(&mut self, key: ListKey) -> Result<PageRequest, ApiError> {
        let limit = self.optional("limit", "a number from 1 to 200", parse_limit)?;
        let after = self.optional("cursor", "a next_cursor of this list", |text| key.open(text))?;
        Ok(PageRequest { limit: limit.unwrap_or(DEFAULT_LIMIT), after })
    }
}

impl ListKey {
    pub fn seal(after: &str) -> String {
        URL_SAFE_NO_PAD.encode(after)
    }

    fn open(self, cursor: &str) -> Option<String> {
        if cursor.len() > MAX_CURSOR {
            return None;
        }
        let after = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let fits = match self {
            ListKey::Id => parse_id(&after).is_some(),
            ListKey::Number => after.parse::<i64>().is_ok(),
            ListKey::Name => !after.is_empty() && !after.contains(char::is_control),
        };
        fits.then_some(after)
    }
}

/// Any number, however large, is a wish for as many as there may be.
fn parse_limit(text: &str) -> Option<usize> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let limit: usize = text.parse().unwrap_or(MAX_LIMIT);
    (limit > 0).then_some(limit.min(MAX_LIMIT))
}

fn invalid(field: &str, reason: impl Into<String>) -> ApiError {
    ApiError::InvalidParameter { field: field.chars().take(64).collect(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0192f3a0-0000-7000-8000-0000000000ab";

    fn page(query: &str) -> Result<PageRequest, ApiError> {
        let uri = format!("/list?{query}").parse().unwrap();
        Params::read(&uri, |params| {
            params.boolean("locked")?;
            params.page(ListKey::Id)
        })
    }

    fn refused(query: &str) -> String {
        match page(query) {
            Err(ApiError::InvalidParameter { field, .. }) => field,
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn a_limit_is_clamped_but_never_guessed() {
        assert_eq!(page("").unwrap().limit, 50);
        assert_eq!(page("limit=1").unwrap().limit, 1);
        assert_eq!(page("limit=200").unwrap().limit, 200);
        assert_eq!(page("limit=201").unwrap().limit, 200);
        assert_eq!(page("limit=99999999999999999999999").unwrap().limit, 200);
        for wrong in ["limit=0", "limit=-1", "limit=+1", "limit=", "limit=ten", "limit=1.5"] {
            assert_eq!(refused(wrong), "limit");
        }
    }

    #[test]
    fn a_cursor_comes_back_as_what_it_was_made_of() {
        let cursor = ListKey::seal(ID);
        assert_eq!(page(&format!("cursor={cursor}")).unwrap().after.as_deref(), Some(ID));
    }

    #[test]
    fn a_cursor_of_anything_else_is_refused() {
        for wrong in ["", "x", "AAAA", ID, &ListKey::seal("admin"), &"A".repeat(4096)] {
            assert_eq!(refused(&format!("cursor={wrong}")), "cursor");
        }
    }

    #[test]
    fn text_that_a_store_could_not_take_is_refused() {
        let email = |query: &str| {
            let uri = format!("/list?{query}").parse().unwrap();
            Params::read(&uri, |params| params.text("email"))
        };
        assert_eq!(email("email=zo%C3%AB%40b").unwrap().as_deref(), Some("zoë@b"));
        assert!(email("email=a%00").is_err());
    }

    #[test]
    fn what_nobody_asks_for_is_refused_by_name() {
        assert_eq!(refused("lokced=true"), "lokced");
        assert_eq!(refused("limit=1&limit=2"), "limit");
        assert_eq!(refused("locked=maybe"), "locked");
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "[ -~]{0,64}") {
            if let Ok(uri) = format!("/list?{query}").parse() {
                let _ = Params::read(&uri, |params| params.page(ListKey::Name));
            }
        }
    }
}
