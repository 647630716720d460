use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// For the connection and the head of the answer. A body may take longer: exports do.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where the management API is.
pub(super) struct Server {
    host: String,
    port: u16,
    tls: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("no answer in time")]
    Late,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Tls(String),
}

impl Server {
    /// `http://host:port` or `https://host`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uri: http::Uri = text.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let is_bare = uri.path() == "/" && uri.query().is_none();
        let host = uri.host().filter(|_| is_bare)?.to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Some(Self { host, port, tls })
    }

    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Sends one request on a connection of its own.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, NoAnswer> {
        timeout(PATIENCE, self.exchange(request)).await.map_err(|_| NoAnswer::Late)?
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, NoAnswer> {
        let host = self.host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, self.port)).await?;
        if self.tls {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|error| NoAnswer::Tls(error.to_string()))?;
            let stream = TlsConnector::from(Arc::new(tls_config()?)).connect(name, stream).await?;
            talk(stream, request).await
        } else {
            talk(stream, request).await
        }
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<http::Response<Incoming>, NoAnswer> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What goes wrong on it is told to whoever waits for the answer.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// The roots that the operating system trusts.
fn tls_config() -> Result<ClientConfig, NoAnswer> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| NoAnswer::Tls(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_and_an_address() {
        let authority = |text: &str| Server::parse(text).map(|server| server.authority());
        assert_eq!(authority("http://127.0.0.1:9090").as_deref(), Some("127.0.0.1:9090"));
        assert_eq!(authority("https://gatepost.example/").as_deref(), Some("gatepost.example:443"));
        assert_eq!(authority("http://[::1]:9090").as_deref(), Some("[::1]:9090"));
        for wrong in ["127.0.0.1:9090", "ftp://a", "http://a/api", "http://a?b", ""] {
            assert_eq!(authority(wrong), None, "{wrong}");
        }
    }
}
