//! Step 1: refuse what two parsers could read two ways.

use std::borrow::Cow;

use http::{HeaderMap, Method, Version, header};

use super::head::{Field, Head};
use super::{Denial, Refusal};
use crate::policy::{Exceptions, MethodSet, Route, check_target, host_of};
use crate::request::RequestView;

const MAX_TARGET: usize = 8 * 1024;

/// A denial and which rule was broken: a constant for the client's `detail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    denial: Denial,
    reason: Option<&'static str>,
}

impl From<Denial> for Fault {
    fn from(denial: Denial) -> Self {
        Self { denial, reason: None }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal { detail: fault.reason, ..Refusal::new(fault.denial) }
    }
}

pub fn invalid(reason: &'static str) -> Fault {
    Fault { denial: Denial::InvalidRequest, reason: Some(reason) }
}

/// What a request's shape leaves to be decided by its route.
pub struct Shape<'a> {
    /// In lower case and without its port.
    pub host: Cow<'a, str>,
    pub exceptions: Exceptions,
}

/// The host that the request is for, and what its path holds besides, if everything about its
/// shape is in order.
pub fn check<'a>(view: &RequestView<'a>) -> Result<Shape<'a>, Fault> {
    check_method(view.method)?;
    if view.target.len() > MAX_TARGET {
        return Err(Denial::UriTooLong.into());
    }
    let head = Head::read(view)?;
    let exceptions = check_target(view.target).map_err(|fault| invalid(fault.0))?;
    check_framing(view.version, &head)?;
    check_expect(&head)?;
    Ok(Shape { host: host(view, &head)?, exceptions })
}

fn check_method(method: &Method) -> Result<(), Fault> {
    match *method {
        _ if MethodSet::is_forwarded(method) => Ok(()),
        Method::CONNECT | Method::TRACE => Err(invalid("CONNECT and TRACE are never forwarded")),
        _ => Err(invalid("The method is not one that IANA has registered")),
    }
}

/// Where the body ends must be said once, and in one way.
fn check_framing(version: Version, head: &Head<'_>) -> Result<(), Fault> {
    match (head.transfer_encoding, head.content_length) {
        (Field::Absent, Field::Absent) => Ok(()),
        (Field::Absent, Field::Once(length)) if is_canonical_length(length) => Ok(()),
        (Field::Absent, Field::Once(_)) => {
            Err(invalid("Content-Length is not one decimal number without leading zeros"))
        }
        (Field::Absent, Field::Repeated) => Err(invalid("Content-Length is given twice")),
        (_, Field::Once(_) | Field::Repeated) => {
            Err(invalid("Content-Length and Transfer-Encoding are both given"))
        }
        _ if version != Version::HTTP_11 => {
            Err(invalid("Transfer-Encoding belongs to HTTP/1.1 alone"))
        }
        (Field::Once(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(invalid("Transfer-Encoding is not `chunked`, once")),
    }
}

/// Nineteen digits and more may overflow somewhere behind us.
fn is_canonical_length(text: &[u8]) -> bool {
    let digits = text.iter().all(u8::is_ascii_digit) && (1..=18).contains(&text.len());
    digits && (text == b"0" || text[0] != b'0')
}

fn check_expect(head: &Head<'_>) -> Result<(), Fault> {
    match head.expect {
        Field::Absent => Ok(()),
        Field::Once(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(()),
        _ => Err(invalid("Expect is not `100-continue`, once")),
    }
}

/// `Host`, and the authority where there is one: both say the same.
fn host<'a>(view: &RequestView<'a>, head: &Head<'a>) -> Result<Cow<'a, str>, Fault> {
    let authority = view.authority.map(str::as_bytes);
    let named = match (head.host, authority) {
        (Field::Repeated, _) => return Err(invalid("Host is given twice")),
        (Field::Once(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => {
            return Err(invalid("Host and the authority differ"));
        }
        (Field::Once(host), _) => host,
        (Field::Absent, Some(authority)) if view.version >= Version::HTTP_2 => authority,
        (Field::Absent, _) => return Err(invalid("Host is missing")),
    };
    let host = host_of(named).ok_or(invalid("Host is not a host name with an optional port"))?;
    Ok(if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    })
}

/// Asked last, once everything else allows: an `Upgrade` header changes nothing before.
pub fn check_upgrade(view: &RequestView<'_>, route: &Route) -> Result<(), Fault> {
    let mut upgrades = view.headers.get_all(header::UPGRADE).iter();
    let Some(upgrade) = upgrades.next() else { return Ok(()) };
    if !route.options.websocket {
        return Err(invalid("This route takes no protocol upgrade"));
    }
    if !upgrade.as_bytes().eq_ignore_ascii_case(b"websocket") || upgrades.next().is_some() {
        return Err(invalid("Upgrade is not `websocket`, once"));
    }
    if !options(view.headers).any(|option| option.eq_ignore_ascii_case(b"upgrade")) {
        return Err(invalid("Upgrade is not named in Connection"));
    }
    let body = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let plain_get = view.method == Method::GET
        && view.version == Version::HTTP_11
        && !body.iter().any(|name| view.headers.contains_key(name));
    plain_get.then_some(()).ok_or(invalid("An upgrade takes a GET of HTTP/1.1 without a body"))
}

/// What `Connection` lists.
fn options(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(header::CONNECTION).iter();
    lines.flat_map(|line| line.as_bytes().split(|&b| b == b',')).map(<[u8]>::trim_ascii)
}
