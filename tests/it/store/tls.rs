//! TLS to Postgres, with a certificate authority made for the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gatepost::store::postgres::PostgresStore;
use gatepost::store::{Store, StoreError};

use crate::support::postgres::Cluster;

/// A server whose certificate is for `localhost`, and authorities to trust or not.
struct Secured {
    cluster: Cluster,
    authorities: tempfile::TempDir,
}

impl Secured {
    async fn start() -> Self {
        let authorities = tempfile::tempdir().expect("a temporary directory");
        let directory = authorities.path();
        make_authority(directory, "ours");
        make_authority(directory, "theirs");
        make_certificate(directory, "ours", "localhost");
        let cluster = Cluster::start("");
        cluster.secure(&directory.join("server.crt"), &directory.join("server.key"));
        cluster.migrate("postgres").await;
        Self { cluster, authorities }
    }

    fn root(&self, name: &str) -> PathBuf {
        self.authorities.path().join(format!("{name}.crt"))
    }

    /// Connects to `host` with these parameters, and tells whether the connection is encrypted.
    async fn connect(&self, host: &str, parameters: &str) -> Result<bool, StoreError> {
        let port = self.cluster.port();
        let url = format!("postgres://postgres@{host}:{port}/postgres?{parameters}");
        let store = PostgresStore::open(&url, 1, crate::support::chain_keys())?;
        store.ping().await?;
        let sql = "SELECT CAST(count(*) AS text) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                    WHERE ssl AND application_name = 'gatepost'";
        Ok(self.cluster.texts("postgres", sql) != ["0"])
    }
}

#[tokio::test]
async fn certificates_are_verified_as_far_as_sslmode_says() {
    let server = Secured::start().await;
    let ours = format!("sslrootcert={}", server.root("ours").display());
    let theirs = format!("sslrootcert={}", server.root("theirs").display());
    let full = |root: &str| format!("sslmode=verify-full&{root}");
    let chain = |root: &str| format!("sslmode=verify-ca&{root}");

    let accepted = [
        ("localhost", full(&ours), true),
        ("localhost", ours.clone(), true),
        ("localhost", chain(&ours), true),
        ("127.0.0.1", chain(&ours), true),
        ("127.0.0.1", "sslmode=require".into(), true),
        ("127.0.0.1", format!("sslmode=require&{ours}"), true),
        ("127.0.0.1", "sslmode=prefer".into(), true),
        ("127.0.0.1", "sslmode=disable".into(), false),
    ];
    for (host, parameters, encrypted) in accepted {
        let connected = server.connect(host, &parameters).await;
        let connected = connected.unwrap_or_else(|error| panic!("{host} {parameters}: {error}"));
        assert_eq!(connected, encrypted, "{host} {parameters}");
    }

    let refused = [
        ("127.0.0.1", full(&ours), "the name is wrong"),
        ("localhost", full(&theirs), "the authority is another"),
        ("localhost", chain(&theirs), "the authority is another"),
        ("localhost", format!("sslmode=require&{theirs}"), "the authority is another"),
        ("localhost", "sslmode=verify-full".into(), "the system does not trust it"),
    ];
    for (host, parameters, why) in refused {
        let error = server.connect(host, &parameters).await.expect_err(why);
        assert!(error.to_string().contains("certificate"), "{host} {parameters}: {error}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_when_it_is_required() {
    let cluster = Cluster::start("");
    cluster.migrate("postgres").await;
    for mode in ["require", "verify-ca", "verify-full"] {
        let url =
            format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode={mode}", cluster.port());
        let Ok(store) = PostgresStore::open(&url, 1, crate::support::chain_keys()) else {
            continue;
        };
        let error = store.ping().await.expect_err(mode);
        assert!(error.to_string().contains("TLS"), "{mode}: {error}");
    }
}

fn make_authority(directory: &Path, name: &str) {
    openssl(
        directory,
        &format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
         -keyout {name}.key -out {name}.crt -subj /CN={name} \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign"
        ),
    );
}

fn make_certificate(directory: &Path, authority: &str, host: &str) {
    std::fs::write(directory.join("extensions"), format!("subjectAltName=DNS:{host}\n"))
        .expect("the extensions");
    openssl(
        directory,
        &format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
         -keyout server.key -out server.csr -subj /CN={host}"
        ),
    );
    openssl(
        directory,
        &format!(
            "x509 -req -in server.csr -CA {authority}.crt -CAkey {authority}.key -CAcreateserial \
         -days 2 -extfile extensions -out server.crt"
        ),
    );
}

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed (it comes with PostgreSQL)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
}
