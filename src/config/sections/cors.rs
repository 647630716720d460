//! `cors` of a route: who may call from a browser, and how.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use crate::config::parse::{duration_or_zero, method};
use crate::config::reader::{Fault, Section, Value};
use crate::policy::{Cors, MethodSet, Origins};

/// What most scripts send besides what every request may have.
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, x-api-key");

const MAX_AGE: Duration = Duration::from_secs(10 * 60);

pub fn cors(mut table: Section<'_>) -> Option<Cors> {
    let listed = table.require("origins", "[\"https://app.example.com\"]");
    let methods = table.list("methods", method).map(MethodSet::new);
    let headers = table.list("headers", header).map(joined);
    let max_age = table.read("max_age", duration_or_zero).unwrap_or(MAX_AGE);
    let credentials = table.flag("credentials").unwrap_or(false);
    let listed = listed?;
    let origins = origins(&listed)?;
    if credentials && origins == Origins::Any {
        let message = "`credentials` for every origin would let any page act for its visitor";
        let hint = "name the origins, or leave `credentials` out: keys in headers need none";
        listed.reader().error(listed.at(), message, Some(hint.into()));
    }
    Some(Cors { origins, methods, headers: headers.unwrap_or(HEADERS), max_age, credentials })
}

fn origins(listed: &Value<'_>) -> Option<Origins> {
    let origins = listed.list(origin)?;
    if listed.items()?.is_empty() {
        let message = "`origins` is empty: no browser could call";
        listed.reader().error(listed.at(), message, Some("leave `cors` out instead".into()));
    }
    match origins.iter().any(|origin| origin == "*") {
        true => Some(Origins::Any),
        false => Some(Origins::These(origins.into())),
    }
}

/// As browsers send it: a scheme and a host in lower case, a port unless it is the usual one.
fn origin(text: &str) -> Result<HeaderValue, Fault> {
    let fault = || Fault::new("is not an origin").hint("for example https://app.example.com, or *");
    let uri: Uri = text.parse().map_err(|_| fault())?;
    let authority = uri.authority().map(|authority| authority.as_str());
    let whole = uri.scheme_str().zip(authority).is_some_and(|(scheme, authority)| {
        text == format!("{scheme}://{authority}").to_ascii_lowercase() && !authority.contains('@')
    });
    if text == "*" || whole {
        HeaderValue::from_str(text).map_err(|_| fault())
    } else {
        Err(fault())
    }
}

fn header(text: &str) -> Result<HeaderName, Fault> {
    HeaderName::try_from(text).map_err(|_| Fault::new("is not the name of a header"))
}

fn joined(names: Vec<HeaderName>) -> HeaderValue {
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    // Names of headers are tokens, which a header value may hold.
    HeaderValue::try_from(names.join(", ")).unwrap_or(HEADERS)
}
