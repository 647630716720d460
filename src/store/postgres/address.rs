//! Where the database is and how the connection is secured, from one URL.
//!
//! `sslmode` and `sslrootcert` mean what they mean to libpq, but they are taken out of the URL
//! first: the driver does not know the two that verify.
//!
//! | `sslmode` | encrypted | certificate |
//! |---|---|---|
//! | `disable` | no | |
//! | `prefer` (default) | when the server offers it | not verified |
//! | `require` | yes | not verified; its chain is when `sslrootcert` is given |
//! | `verify-ca` | yes | its chain |
//! | `verify-full` (default with `sslrootcert`) | yes | its chain and the host's name |
//!
//! Chains end at `sslrootcert`, a PEM file, or else at a root that the system trusts.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, Connection, Socket, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::chain;
use super::tls::{self, Verify};
use crate::store::StoreError;

/// An attempt to connect that takes longer has failed.
const CONNECT: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(super) struct Address {
    pub config: Config,
    pub tls: MakeRustlsConnect,
}

pub(super) type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

impl Address {
    /// # Errors
    /// The URL is wrong. The message never holds the password.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let (rest, security) = Security::take(url)?;
        let mut config = Config::from_str(&rest)
            .map_err(|error| StoreError::Incompatible(format!("its URL: {}", chain(&error))))?;
        config
            .ssl_mode(security.mode)
            // A standby that lags behind would bring back keys that were revoked.
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(CONNECT)
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(2)
            .tcp_user_timeout(Duration::from_secs(5));
        if config.get_application_name().is_none() {
            config.application_name("gatepost");
        }
        let tls = tls::connector(security.verify, security.root.as_deref())?;
        Ok(Self { config, tls })
    }

    pub(super) async fn connect(
        &self,
    ) -> Result<(Client, Connection<Socket, Stream>), tokio_postgres::Error> {
        self.config.connect(self.tls.clone()).await
    }
}

struct Security {
    mode: SslMode,
    verify: Verify,
    root: Option<PathBuf>,
}

impl Security {
    /// Splits a URL into what the driver understands and what is ours.
    fn take(url: &str) -> Result<(String, Self), StoreError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = None;
        let mut root = None;
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(decode(value)?),
                Some(("sslrootcert", value)) => root = Some(PathBuf::from(decode(value)?)),
                _ => others.push(pair),
            }
        }
        let security = Self::new(mode.as_deref(), root)?;
        let rest = if others.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", others.join("&"))
        };
        Ok((rest, security))
    }

    fn new(mode: Option<&str>, root: Option<PathBuf>) -> Result<Self, StoreError> {
        let (mode, verify) = match (mode, &root) {
            (Some("disable"), None) => (SslMode::Disable, Verify::Nothing),
            (Some("prefer"), None) | (None, None) => (SslMode::Prefer, Verify::Nothing),
            (Some("require"), None) => (SslMode::Require, Verify::Nothing),
            (Some("require"), Some(_)) | (Some("verify-ca"), _) => {
                (SslMode::Require, Verify::Chain)
            }
            (Some("verify-full"), _) | (None, Some(_)) => (SslMode::Require, Verify::ChainAndName),
            (Some("disable" | "prefer"), Some(_)) => {
                return Err(StoreError::Incompatible(
                    "sslrootcert asks for a verification that this sslmode does not do: \
                     use sslmode=verify-full"
                        .into(),
                ));
            }
            (Some(_), _) => {
                return Err(StoreError::Incompatible(
                    "sslmode is one of disable, prefer, require, verify-ca, verify-full".into(),
                ));
            }
        };
        Ok(Self { mode, verify, root })
    }
}

fn decode(value: &str) -> Result<String, StoreError> {
    let text = percent_decode_str(value).decode_utf8();
    let text = text.map_err(|_| StoreError::Incompatible("the store's URL is not UTF-8".into()))?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        Address::parse(url).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn our_parameters_are_taken_out_and_the_others_left() {
        let (rest, security) = Security::take(
            "postgres://u:p@db/gp?sslmode=verify-full&application_name=x&sslrootcert=%2Fca.pem",
        )
        .ok()
        .unwrap();
        assert_eq!(rest, "postgres://u:p@db/gp?application_name=x");
        assert_eq!(security.mode, SslMode::Require);
        assert_eq!(security.verify, Verify::ChainAndName);
        assert_eq!(security.root, Some("/ca.pem".into()));
    }

    #[test]
    fn a_root_certificate_alone_means_full_verification() {
        let (_, security) = Security::take("postgres://db/gp?sslrootcert=/ca.pem").ok().unwrap();
        assert_eq!((security.mode, security.verify), (SslMode::Require, Verify::ChainAndName));
    }

    #[test]
    fn a_root_certificate_is_never_silently_ignored() {
        for mode in ["disable", "prefer"] {
            let url = format!("postgres://db/gp?sslmode={mode}&sslrootcert=/ca.pem");
            assert!(refusal(&url).contains("verify-full"));
        }
    }

    #[test]
    fn a_refusal_does_not_hold_the_password() {
        for url in [
            "postgres://u:hunter2@db:port/gp",
            "postgres://u:hunter2@db/gp?sslmode=hunter2",
            "postgres://u:hunter2@db/gp?sslcert=x",
            "postgres://u:hunter2@db/gp?sslrootcert=/does/not/exist",
            "hunter2",
        ] {
            let message = refusal(url);
            assert!(!message.is_empty() && !message.contains("hunter2"), "{url}: {message}");
        }
    }

    #[test]
    fn a_socket_directory_can_be_the_host() {
        let address = Address::parse("postgres:///gp?host=/run/postgresql").ok().unwrap();
        let hosts = address.config.get_hosts();
        assert_eq!(hosts, [tokio_postgres::config::Host::Unix("/run/postgresql".into())]);
    }
}
