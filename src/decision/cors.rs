//! What browsers are told of scripts from other origins: before their requests, and beside the
//! answers.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::policy::{Cors, MethodSet, Origins, Route};
use crate::request::RequestView;

pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// What an upstream says of it where the route has rules of its own.
pub static CORS_ANSWER: [HeaderName; 2] =
    [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS];

/// The method that a preflight asks about. Without both headers, once each, `OPTIONS` is a method
/// like any other.
pub fn asked_method(view: &RequestView<'_>) -> Option<Method> {
    if *view.method != Method::OPTIONS || one(view.headers, &ORIGIN).is_none() {
        return None;
    }
    let method = one(view.headers, &ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(method.as_bytes()).ok().filter(MethodSet::is_forwarded)
}

/// The answer to a preflight for `route`. An origin that may not call is told nothing, which
/// browsers take for a no.
pub fn preflight(route: &Route, cors: &Cors, method: &Method, request: &HeaderMap) -> Headers {
    let mut headers = beside_answer(cors, request);
    if headers.iter().any(|(name, _)| *name == ACCESS_CONTROL_ALLOW_ORIGIN) {
        let methods = cors.methods.as_ref().or(route.methods.as_ref());
        let methods = methods.cloned().unwrap_or_else(|| MethodSet::new([method.clone()]));
        headers.extend([
            (ACCESS_CONTROL_ALLOW_METHODS, methods.to_allow_header()),
            (ACCESS_CONTROL_ALLOW_HEADERS, cors.headers.clone()),
            (ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs())),
        ]);
    }
    let asked = "Access-Control-Request-Method, Access-Control-Request-Headers";
    headers.push((VARY, HeaderValue::from_static(asked)));
    headers
}

/// What every answer on a route with these rules says, to be added to it.
pub fn beside_answer(cors: &Cors, request: &HeaderMap) -> Headers {
    let mut headers = Headers::new();
    if cors.origins != Origins::Any {
        headers.push((VARY, HeaderValue::from_static("Origin")));
    }
    if let Some(allowed) = one(request, &ORIGIN).and_then(|origin| cors.origins.allow(origin)) {
        headers.push((ACCESS_CONTROL_ALLOW_ORIGIN, allowed));
        if cors.credentials {
            let yes = HeaderValue::from_static("true");
            headers.push((ACCESS_CONTROL_ALLOW_CREDENTIALS, yes));
        }
    }
    headers
}

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}
