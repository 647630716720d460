use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::plane::ControlPlane;
use super::wire::ApiError;
use super::{Parts, front, listener, table};
use crate::decision::Admission;

/// The control plane, ready to be served on a socket, called in process, or both.
#[derive(Clone)]
pub struct App {
    router: Router,
}

/// Must be called on the runtime that does the store's work: operations run there, whichever
/// runtime hands a request over.
pub fn app(parts: Parts) -> App {
    let plane = Arc::new(ControlPlane::new(parts));
    let router = table::operations()
        .into_iter()
        .fold(Router::new(), |router, operation| router.route(operation.path, operation.handler()))
        .fallback(any(nothing_here))
        .layer(from_fn_with_state(Arc::clone(&plane), front::receive))
        .with_state(plane);
    App { router }
}

impl App {
    /// Everything that the control plane answers. Whoever serves it puts the peer's address into
    /// the request's extensions as [`axum::extract::ConnectInfo`].
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves until `shutdown` resolves, then finishes the requests in flight.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        listener::serve(self.router, listener, shutdown).await;
    }

    /// Answers a request that the proxy has admitted and hands over in process.
    ///
    /// It is judged by its own permissions too, with the key of `admission`, and recorded by the
    /// proxy alone. The extensions may hold the client's address (`IpAddr`) and the request id
    /// (`Uuid`).
    pub async fn call(
        &self,
        mut request: http::Request<Bytes>,
        admission: Admission,
    ) -> http::Response<UnsyncBoxBody<Bytes, io::Error>> {
        request.extensions_mut().insert(front::HandedOver(admission));
        let answer: Result<_, Infallible> = self.router().oneshot(request.map(Body::from)).await;
        let response = answer.unwrap_or_else(|never| match never {});
        response.map(|body| body.map_err(io::Error::other).boxed_unsync())
    }
}

/// What the front admits is in the table, and what is in the table has a handler: only a
/// disagreement between the policy's matcher and the router's ends here.
async fn nothing_here() -> ApiError {
    ApiError::NotFound
}
