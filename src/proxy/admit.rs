//! From a request's head to its verdict.

use std::net::IpAddr;

use http::header::{COOKIE, EXPECT, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use pingora::http::RequestHeader;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use uuid::Uuid;

use super::connection::Watch;
use super::context::Context;
use super::door::whole_seconds;
use super::forwarding::client_address;
use super::hygiene::remove_reserved;
use super::{CLIENT_STALL, DRAIN, Proxy, edit_headers, respond, trace};
use crate::decision::{Admission, Denial, HeaderEdit, ProblemAnswer, Refusal, Strip, Verdict};
use crate::policy::{CredentialRules, Policy};
use crate::request::RequestView;

/// The framework percent-encodes what may not stand in a target: then what is judged would not be
/// what was sent.
const REPAIRED: &str = "The request target holds bytes that have to be percent-encoded";

const BROKEN_CHUNKS: &str = "The body's chunks are malformed";

/// Who is asking, and how the connection is used while this request is on it.
pub fn meet(proxy: &Proxy, session: &mut Session, ctx: &mut Context) {
    let live = ctx.live.clone();
    let settings = &live.settings;
    ctx.peer = peer_address(session).unwrap_or(ctx.peer);
    ctx.peer_is_trusted = settings.trusts(ctx.peer);
    let header = session.req_header();
    let version = header.version;
    if version == Version::HTTP_2
        && let Some(watch) = session.digest().and_then(Watch::of)
    {
        watch.count_request();
    }
    if ctx.peer_is_trusted {
        ctx.client = client_address(ctx.peer, &header.headers, settings);
        ctx.request_id = trace::given_request_id(&header.headers).unwrap_or_default();
    } else {
        ctx.client = ctx.peer;
    }
    if ctx.request_id.is_nil() {
        ctx.request_id = trace::new_request_id(ctx.at);
    }
    // The framework would keep a connection for ever; and HTTP/1.0 ones are not kept at all, its
    // framing is too vague for a second request.
    let keep = version != Version::HTTP_10 && !proxy.health.is_leaving();
    session.set_keepalive(keep.then(|| whole_seconds(settings.keepalive)));
    session.set_read_timeout(Some(CLIENT_STALL));
    session.set_write_timeout(Some(CLIENT_STALL));
    session.set_total_drain_timeout(Some(DRAIN));
}

/// The peer, in the notation that rules are written in.
fn peer_address(session: &Session) -> Option<IpAddr> {
    match session.client_addr()? {
        SocketAddr::Inet(address) => Some(address.ip().to_canonical()),
        SocketAddr::Unix(_) => None,
    }
}

/// Steps 1 to 8, by the gate.
pub async fn judge(
    proxy: &Proxy,
    session: &mut Session,
    ctx: &Context,
    policy: &Policy,
) -> Verdict {
    // HTTP/2 has no lines that could be read two ways: its parsed headers are what was sent.
    let is_h1 = session.req_header().version <= Version::HTTP_11;
    let raw_head = is_h1.then(|| session.to_h1_raw());
    if let Err(reason) = check_wire(session, raw_head.as_deref()) {
        return Err(Refusal { detail: Some(reason), ..Refusal::new(Denial::InvalidRequest) });
    }
    let header = session.req_header();
    let view = RequestView {
        method: &header.method,
        target: header.raw_path(),
        authority: header.uri.authority().map(Authority::as_str),
        version: header.version,
        headers: &header.headers,
        raw_head: raw_head.as_deref(),
        client: ctx.client,
    };
    proxy.gate.admit(&view, policy).await
}

/// What the framework has understood is what was sent, as far as the body has come with it.
fn check_wire(session: &Session, raw_head: Option<&[u8]>) -> Result<(), &'static str> {
    let watch = session.digest().and_then(Watch::of);
    let Some((watch, raw_head)) = watch.zip(raw_head) else { return Ok(()) };
    if !watch.end_head(raw_head) {
        return Err(REPAIRED);
    }
    let chunked = session.req_header().headers.contains_key(TRANSFER_ENCODING);
    if chunked && !watch.expect_chunks(raw_head.len()) {
        return Err(BROKEN_CHUNKS);
    }
    Ok(())
}

/// Answers a refused request.
///
/// # Errors
/// The client is gone.
pub async fn refuse(
    session: &mut Session,
    refusal: &Refusal,
    realm: &str,
    request_id: Uuid,
) -> Result<()> {
    // A request that could be read in two ways may be followed by what only one of them sees.
    if is_about_form(refusal.denial) {
        session.set_keepalive(None);
    }
    let mut answer = ProblemAnswer::new(refusal, realm, request_id);
    respond::tell_browser(&mut answer, refusal.route.as_ref(), session);
    respond::send(session, answer, request_id).await
}

fn is_about_form(denial: Denial) -> bool {
    matches!(denial, Denial::InvalidRequest | Denial::UriTooLong | Denial::HeadersTooLarge)
}

/// Takes out of an admitted request what the upstream must not get from its client: reserved names
/// and the credential. What is ours is set when the request is forwarded, after the framework has
/// done what the client's `Connection` asks for.
///
/// # Errors
/// The target would not be forwarded as it was judged.
pub fn sanitize(
    request: &mut RequestHeader,
    admission: &Admission,
    rules: &CredentialRules,
    peer_is_trusted: bool,
) -> Result<()> {
    let strip = admission.strip(rules);
    let authority = request.uri.authority().map(|authority| authority.as_str().to_owned());
    let forwarded = strip.target(request.raw_path());
    if forwarded.len() != request.raw_path().len() {
        let forwarded = forwarded.into_owned();
        request.set_raw_path(&forwarded)?;
    }
    // Editing keeps of the target what its URI holds, which must be all of it.
    let target = request.uri.path_and_query().map(|target| target.as_str().as_bytes());
    if target != Some(request.raw_path()) {
        return Error::e_explain(ErrorType::InternalError, "the target is not in origin form");
    }
    let old = request.version == Version::HTTP_10;
    edit_headers(request, |headers| {
        // Its client would take a `100 Continue` for the answer (RFC 9110, section 10.1.1).
        if old {
            headers.remove(EXPECT);
        }
        if let Some(authority) = authority.and_then(|text| HeaderValue::try_from(text).ok()) {
            speak_h1(headers, authority);
        }
        remove_credentials(headers, &strip);
        remove_reserved(headers, peer_is_trusted);
    });
    Ok(())
}

/// What HTTP/2 says in `:authority` and in pieces of `Cookie`, HTTP/1.1 says in one header each
/// (RFC 9113, section 8.2.3).
fn speak_h1(headers: &mut HeaderMap, authority: HeaderValue) {
    headers.insert(HOST, authority);
    let pieces: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if pieces.len() > 1
        && let Ok(whole) = HeaderValue::from_bytes(&pieces.join(&b"; "[..]))
    {
        headers.insert(COOKIE, whole);
    }
}

fn remove_credentials(headers: &mut HeaderMap, strip: &Strip<'_>) {
    let edits: Vec<(HeaderName, Option<HeaderValue>)> = strip
        .header_edits(headers)
        .map(|edit| match edit {
            HeaderEdit::Remove(name) => (name.clone(), None),
            HeaderEdit::Replace(name, value) => (name.clone(), Some(value)),
        })
        .collect();
    for (name, value) in edits {
        match value {
            Some(value) => headers.insert(name, value),
            None => headers.remove(name),
        };
    }
}
