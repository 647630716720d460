use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::WebhookUrl;

/// All of one attempt, from the look-up of the name to the answer's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a message did not arrive. Never holds the address, whose path may give access.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error("no answer in time")]
    Late,
    #[error("cannot be reached: {0}")]
    Unreachable(#[from] std::io::Error),
    #[error("does not speak HTTP as expected: {0}")]
    Http(#[from] hyper::Error),
    #[error("cannot be spoken to by TLS: {0}")]
    Tls(String),
    #[error("the message cannot be written: {0}")]
    Message(#[from] http::Error),
}

/// Sends one message on a connection of its own. Redirects are not followed: what was configured
/// is told, and nobody else.
pub async fn post(
    url: &WebhookUrl,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<StatusCode, PostError> {
    timeout(PATIENCE, attempt(url, headers, body)).await.unwrap_or(Err(PostError::Late))
}

async fn attempt(
    url: &WebhookUrl,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<StatusCode, PostError> {
    let mut request = Request::post(url.path.as_str()).header("host", &url.authority);
    if let Some(all) = request.headers_mut() {
        all.extend(headers.clone());
    }
    let request = request.body(Full::new(body))?;
    let stream = TcpStream::connect((&*url.host, url.port)).await?;
    if !url.tls {
        return exchange(TokioIo::new(stream), request).await;
    }
    let name = ServerName::try_from(url.host.clone());
    let name = name.map_err(|error| PostError::Tls(error.to_string()))?;
    let stream = TlsConnector::from(tls()?).connect(name, stream).await?;
    exchange(TokioIo::new(stream), request).await
}

async fn exchange<S: Read + Write + Unpin + Send + 'static>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, PostError> {
    let (mut sender, connection) = http1::handshake(stream).await?;
    let answer = async move { Ok(sender.send_request(request).await?.status()) };
    // The connection does its work beside the request, and ends with it.
    tokio::pin!(answer, connection);
    tokio::select! {
        status = &mut answer => status,
        ended = &mut connection => {
            ended?;
            answer.await
        }
    }
}

fn tls() -> Result<Arc<ClientConfig>, PostError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| PostError::Tls(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}
