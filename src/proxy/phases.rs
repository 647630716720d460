//! The phases of a request, in the order Pingora calls them.
//!
//! | phase | what happens |
//! |---|---|
//! | `new_ctx` | the head is read: the request is in flight |
//! | `request_filter` | judged; refusals and in-process answers are written here |
//! | `upstream_peer` | a server is chosen; without an admission there is none |
//! | `upstream_request_filter` | identity, trace and forwarding headers are set |
//! | `request_body_filter` | the body is counted |
//! | `fail_to_connect`, `error_while_proxy` | whether another attempt is safe |
//! | `response_filter` | the request id is set, our names are taken out |
//! | `fail_to_proxy` | an answer in place of the upstream's |
//! | `logging` | recorded, once, however it ended |

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy, Peer};
use pingora::{Error, ErrorType, Result};

use super::connection::Watch;
use super::context::Context;
use super::forwarding::{Origin, address_value, set_forwarded};
use super::hygiene::{limit_headers, response_fault, response_reserved};
use super::identity::{Signed, set_identity};
use super::trace::{X_REQUEST_ID, set_traceparent, uuid_value};
use super::{
    OUR_HEADERS, Proxy, WEBSOCKET_IDLE, admit, edit_headers, failure, local, record, respond,
};
use crate::decision::{CORS_ANSWER, Denial, Failure, Outcome, ProblemAnswer, beside_answer};
use crate::policy::RouteOptions;

/// Attempts to have one request answered: a second one only where it is safe.
const MAX_ATTEMPTS: u32 = 2;

#[async_trait]
impl ProxyHttp for Proxy {
    /// In a box, since the framework moves it from future to future.
    type CTX = Box<Context>;

    /// No module: the compression that would be here by default costs every request.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    fn new_ctx(&self) -> Self::CTX {
        Box::new(Context::new(&self.in_flight, self.live.load_full()))
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<bool> {
        admit::meet(self, session, ctx);
        let live = ctx.live.clone();
        let policy = &live.policy;
        ctx.verdict = Some(admit::judge(self, session, ctx, policy).await);
        if let Some(admission) = ctx.admission() {
            let request = session.req_header_mut();
            admit::sanitize(request, admission, &policy.credentials, ctx.peer_is_trusted)?;
            if let Some(headers) = admission.preflight() {
                respond::preflight(session, headers, ctx.request_id).await?;
                return Ok(true);
            }
            if &*admission.route().upstream != local::NAME {
                return Ok(false);
            }
            let admission = admission.clone();
            local::serve(self, session, ctx, admission).await?;
        }
        if let Some(refusal) = ctx.refusal() {
            admit::refuse(session, refusal, &policy.realm, ctx.request_id).await?;
        }
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Self::CTX,
    ) -> Result<Box<HttpPeer>> {
        ctx.ask_upstream();
        let Some(admission) = ctx.admission() else {
            return Error::e_explain(ErrorType::InternalError, "no admission, no upstream");
        };
        let route = admission.route();
        if admission.preflight().is_some() {
            return Error::e_explain(ErrorType::InternalError, "a preflight is never forwarded");
        }
        let Some(upstream) = ctx.live.upstreams.get(&route.upstream) else {
            return Error::e_explain(ErrorType::InternalError, "the route's upstream is not there");
        };
        let Some(mut peer) = upstream.choose(ctx.client, ctx.unreachable.as_ref()) else {
            let reason = "no server of the upstream is well";
            return Err(Error::explain(ErrorType::ConnectNoRoute, reason).into_up());
        };
        set_options(&mut peer, &route.options, session);
        Ok(peer)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        let Some(admission) = ctx.admission() else {
            return Error::e_explain(ErrorType::InternalError, "no admission, no upstream");
        };
        let upstream = ctx.live.upstreams.get(&admission.route().upstream);
        let wanted = upstream.map_or(&[][..], |upstream| &upstream.identity);
        let signed = Signed { assertions: &self.assertions, issuer: &ctx.live.policy.realm };
        let digest = session.digest();
        let peer = match digest.and_then(Watch::of) {
            Some(watch) => watch.peer_value(ctx.peer).clone(),
            None => address_value(ctx.peer),
        };
        let origin = Origin {
            peer: &peer,
            peer_is_trusted: ctx.peer_is_trusted,
            tls: digest.is_some_and(|digest| digest.ssl_digest.is_some()),
        };
        edit_headers(request, |headers| {
            // Room for ours, so that the table is built anew once.
            headers.reserve(OUR_HEADERS);
            set_forwarded(headers, &origin);
            set_traceparent(headers, ctx.request_id);
            headers.insert(&X_REQUEST_ID, uuid_value(ctx.request_id));
            set_identity(headers, admission, wanted, &signed);
        });
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _: bool,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        // What passes after an upgrade is no body.
        let Some(bytes) = body.as_ref().filter(|_| !session.was_upgraded()) else { return Ok(()) };
        ctx.body_bytes += bytes.len() as u64;
        let most = ctx.admission().and_then(|admission| admission.route().options.max_body);
        if most.is_some_and(|most| ctx.body_bytes > most) {
            ctx.refuse(Denial::BodyTooLarge);
            return Err(Error::explain(ErrorType::HTTPStatus(413), "the body is too large"));
        }
        Ok(())
    }

    /// Nothing was sent yet, so any request may be tried elsewhere.
    fn fail_to_connect(
        &self,
        _: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Self::CTX,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let upstream = ctx.route().and_then(|route| ctx.live.upstreams.get(&route.upstream));
        let elsewhere = upstream.is_some_and(|upstream| upstream.has_alternatives);
        error.set_retry(elsewhere && ctx.attempts < MAX_ATTEMPTS);
        ctx.unreachable = Some(peer.address().clone());
        error
    }

    /// The request may have been acted upon. It is sent again only if it came upon a pooled
    /// connection that the server had closed, and if doing it twice is the same as once.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Self::CTX,
        reused: bool,
    ) -> Box<Error> {
        error.retry.decide_reuse(reused);
        let safe = session.req_header().method.is_idempotent()
            && !session.as_downstream().retry_buffer_truncated()
            && !respond::is_answered(session)
            && ctx.refusal().is_none()
            && ctx.attempts < MAX_ATTEMPTS;
        if !safe {
            error.set_retry(false);
        }
        error
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        ctx.hear_upstream();
        let upgrade = session.as_downstream().is_upgrade_req();
        match response_fault(response, upgrade) {
            Some(fault) => Err(Error::explain(ErrorType::InvalidHTTPHeader, fault).into_up()),
            None => Ok(()),
        }
    }

    fn upstream_response_body_filter(
        &self,
        _: &mut Session,
        _: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        if end {
            ctx.hear_upstream();
        }
        Ok(None)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        for name in response_reserved(&response.headers, response.status) {
            response.remove_header(&name);
        }
        response.insert_header("X-Request-Id", uuid_value(ctx.request_id))?;
        if let Some(standing) = ctx.standing() {
            // Two counts of limits are none: ours is the one that refuses.
            for name in limit_headers(&response.headers) {
                response.remove_header(&name);
            }
            for (name, value) in standing.headers() {
                response.insert_header(name, value)?;
            }
        }
        if let Some(cors) = ctx.route().and_then(|route| route.options.cors.as_ref()) {
            CORS_ANSWER.iter().for_each(|name| drop(response.remove_header(name)));
            for (name, value) in beside_answer(cors, &session.req_header().headers) {
                response.append_header(name, value)?;
            }
        }
        if self.health.is_leaving() {
            session.set_keepalive(None);
        }
        Ok(())
    }

    /// Only the answers of gRPC have trailers that get this far.
    fn upstream_response_trailer_filter(
        &self,
        _: &mut Session,
        trailers: &mut HeaderMap,
        _: &mut Self::CTX,
    ) -> Result<()> {
        for name in response_reserved(trailers, StatusCode::OK) {
            trailers.remove(name);
        }
        Ok(())
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Self::CTX,
    ) -> FailToProxy {
        let broken = session.digest().and_then(Watch::of).is_some_and(|w| w.has_broken_chunks());
        let ending = match failure::outcome_of(error) {
            Outcome::Fail(Failure::ClientGone) if broken => Outcome::Deny(Denial::InvalidRequest),
            ending => ending,
        };
        // What we decided ourselves goes before what the framework makes of it.
        if ctx.refusal().is_none() {
            match ending {
                Outcome::Deny(denial) => ctx.refuse(denial),
                Outcome::Fail(failure) => ctx.failure = Some(failure),
                Outcome::Allow => ctx.failure = Some(Failure::Internal),
            }
        }
        log_failure(ctx, error);
        session.set_keepalive(None);
        if ending != Outcome::Fail(Failure::ClientGone) && !respond::is_answered(session) {
            let answer = self.problem(ctx, session);
            // A client that left meanwhile has nothing to be told.
            let _ = respond::send(session, answer, ctx.request_id).await;
        }
        let error_code = session.response_written().map_or(0, |written| written.status.as_u16());
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    /// [`log_failure`] says it, without what the framework may quote of a request.
    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        ctx: &Self::CTX,
        error: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        tracing::warn!(
            target: "gatepost::proxy",
            request_id = %ctx.request_id, error = error.etype().as_str(),
            "an attempt failed and another is made"
        );
        true
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut Self::CTX) {
        record::record(self, session, ctx);
    }
}

impl Proxy {
    /// What the client is told of a request that was not answered otherwise.
    fn problem(&self, ctx: &Context, session: &Session) -> ProblemAnswer {
        let mut answer = match (ctx.refusal(), ctx.failure) {
            (Some(refusal), _) => {
                ProblemAnswer::new(refusal, &ctx.live.policy.realm, ctx.request_id)
            }
            (None, failure) => {
                let failure = failure.unwrap_or(Failure::Internal);
                let mut answer = ProblemAnswer::failure(failure, ctx.request_id);
                answer.tell(ctx.standing());
                answer
            }
        };
        respond::tell_browser(&mut answer, ctx.route(), session);
        answer
    }
}

/// What the route says of its upstream goes before what the upstream's settings say.
fn set_options(peer: &mut HttpPeer, options: &RouteOptions, session: &mut Session) {
    let timeouts = &options.timeouts;
    let own = &mut peer.options;
    if let Some(connect) = timeouts.connect {
        own.connection_timeout = Some(connect);
        own.total_connection_timeout = Some(connect * 2);
    }
    own.read_timeout = timeouts.read.or(own.read_timeout);
    own.write_timeout = timeouts.write.or(own.write_timeout);
    if options.grpc {
        own.set_http_version(2, 2);
    }
    if !options.websocket {
        own.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
    } else if session.as_downstream().is_upgrade_req() {
        // A quiet WebSocket is not a stalled one, on either side.
        own.read_timeout = timeouts.read.or(Some(WEBSOCKET_IDLE));
        session.set_read_timeout(own.read_timeout);
    }
}

/// Names what failed. The framework's own text may quote what a client or a server sent.
fn log_failure(ctx: &Context, error: &Error) {
    let outcome = ctx.outcome();
    match outcome {
        Outcome::Fail(Failure::ClientGone) | Outcome::Deny(_) => tracing::debug!(
            target: "gatepost::proxy",
            request_id = %ctx.request_id, outcome = outcome.code(),
            source = error.esource().as_str(), error = error.etype().as_str(),
            "the request was broken off"
        ),
        _ => tracing::warn!(
            target: "gatepost::proxy",
            request_id = %ctx.request_id, outcome = outcome.code(),
            route = ctx.route().map(|route| &*route.name), attempt = ctx.attempts,
            source = error.esource().as_str(), error = error.etype().as_str(),
            "the request failed"
        ),
    }
}
