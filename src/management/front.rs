//! What happens to every request, in this order: who asks and whether they may, the operation,
//! the one place where errors become words, the headers that every answer has, the record.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts as Head;

use super::caller::{Caller, Door, Visit};
use super::once;
use super::plane::{ControlPlane, Plane};
use super::record::{Asked, Served, record};
use super::wait;
use super::wire::{ApiError, if_match};
use crate::decision::{Admission, Outcome, Standing};
use crate::store::Terms;

/// Marks a request from the proxy. It cannot come from a socket: extensions are made here.
#[derive(Clone)]
pub(super) struct HandedOver(pub Admission);

pub(super) async fn receive(State(plane): State<Plane>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let visit = match head.extensions.remove::<HandedOver>() {
        Some(HandedOver(admission)) => Visit::from_proxy(&head, admission),
        None => Visit::from_socket(&head),
    };
    let asked = Asked::of(&head);
    let work = serve(Arc::clone(&plane), visit.clone(), head, body, next);
    // A task of its own: a panic is this request's alone, and answered.
    let served = plane.runtime.spawn(work).await;
    let mut served = served.unwrap_or_else(|panic| Served::failed(ApiError::internal(panic)));
    let outcome = put_into_words(&mut served.response, &plane, &visit);
    set_common_headers(served.response.headers_mut(), &visit);
    if matches!(visit.door, Door::Socket) {
        // A refusal tells by itself; what comes through the proxy is charged and told there.
        let standing = served.standing.iter().flat_map(Standing::headers);
        served.response.headers_mut().extend(standing.map(|(name, value)| (name.clone(), value)));
        record(&plane, &visit, asked, &served, outcome);
    }
    served.response
}

impl Served {
    fn failed(error: ApiError) -> Self {
        let (route, key) = match &error {
            ApiError::Refused(refusal) => (refusal.route.clone(), refusal.key.clone()),
            _ => (None, None),
        };
        Self { response: error.into_response(), route, key, standing: None }
    }
}

async fn serve(plane: Plane, visit: Visit, mut head: Head, body: Body, next: Next) -> Served {
    let admission = match plane.judge(&visit, &head).await {
        Ok(admission) => admission,
        Err(error) => return Served::failed(error),
    };
    let (route, key) = (Arc::clone(admission.route()), admission.key().cloned());
    let standing = admission.standing().copied();
    let served = |response| Served { response, route: Some(route), key: key.clone(), standing };
    let waits = match wait::asked_for(&head) {
        Ok(waits) => waits,
        Err(error) => return served(error.into_response()),
    };
    let caller = key.as_ref().map(|key| Caller {
        key: Arc::clone(key),
        visit: visit.clone(),
        terms: Terms { versions: if_match(&head.headers), receipt: None },
    });
    head.extensions.insert(visit);
    head.extensions.insert(admission);
    let response = match caller {
        Some(caller) if once::asked_for(&head) => once::run(&plane, caller, head, body, next)
            .await
            .unwrap_or_else(ApiError::into_response),
        caller => {
            if let Some(caller) = caller {
                head.extensions.insert(caller);
            }
            next.run(Request::from_parts(head, body)).await
        }
    };
    served(if waits { wait::everywhere(&plane, response).await } else { response })
}

/// Errors travel as values until here, where the request id is known: the client reads the
/// constant, the log gets the cause.
fn put_into_words(response: &mut Response, plane: &ControlPlane, visit: &Visit) -> Outcome {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return Outcome::Allow;
    };
    if let Some(cause) = error.cause() {
        tracing::error!(request_id = %visit.request_id, code = error.code(), cause);
    }
    *response = error.answer(&plane.parts.realm, visit.request_id);
    error.outcome()
}

fn set_common_headers(headers: &mut HeaderMap, visit: &Visit) {
    // A UUID's text is always a header value.
    if let Ok(id) = HeaderValue::from_str(visit.request_id.as_hyphenated().to_string().as_str()) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
