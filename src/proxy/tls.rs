//! TLS where clients come in: 1.2 and newer, HTTP/2 by ALPN.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use pingora::listeners::tls::Acceptor;
use pingora::{Error, ErrorType, Result};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

use crate::config::Certificate;

/// # Errors
/// A file cannot be read, holds no certificate or key, or the two do not belong together.
pub fn acceptor(files: &Certificate) -> Result<Acceptor> {
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|error| unusable(&files.cert, error))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable(&files.cert, error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Acceptor::from_server_config(Arc::new(config)))
}

fn unusable(file: &Path, error: impl Display) -> Box<Error> {
    Error::explain(ErrorType::InvalidCert, format!("{}: {error}", file.display()))
}
