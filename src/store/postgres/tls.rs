//! How much of the server's certificate is verified.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::StoreError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verify {
    Nothing,
    Chain,
    ChainAndName,
}

/// # Errors
/// The roots to verify against cannot be read, or there are none.
pub(super) fn connector(
    verify: Verify,
    root: Option<&Path>,
) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match verify {
        Verify::ChainAndName => builder.with_root_certificates(roots(root)?),
        Verify::Chain | Verify::Nothing => {
            let chain = match verify {
                Verify::Chain => Some(chain_verifier(&provider, root)?),
                _ => None,
            };
            let verifier = Arc::new(Lenient { provider, chain });
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
    };
    Ok(MakeRustlsConnect::new(builder.with_no_client_auth()))
}

fn chain_verifier(
    provider: &Arc<CryptoProvider>,
    root: Option<&Path>,
) -> Result<Arc<WebPkiServerVerifier>, StoreError> {
    let roots = Arc::new(roots(root)?);
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(unusable)
}

/// The certificates of `file`, or those that the system trusts.
fn roots(file: Option<&Path>) -> Result<RootCertStore, StoreError> {
    let certificates = match file {
        Some(file) => from_file(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        let place =
            file.map_or("the system's trust store".into(), |file| file.display().to_string());
        return Err(unusable(format!("{place} holds no usable root certificate")));
    }
    Ok(roots)
}

fn from_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let read = |error| unusable(format!("sslrootcert {}: {error}", file.display()));
    CertificateDer::pem_file_iter(file).map_err(read)?.collect::<Result<_, _>>().map_err(read)
}

fn unusable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Incompatible(error.to_string())
}

/// Verifies the chain but not the name, or nothing but that the server holds its certificate's key.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // The name is looked at last: an error about it means that the chain is good.
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
