//! Configurations: what they come to, and what is said about wrong ones.

mod check;
mod environment;
mod examples;
mod explain;
mod garbage;
mod problems;
mod routes;
mod secrets;
mod settings;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gatepost::config::{Config, ConfigError, Environment, Severity};

const MINIMAL: &str = include_str!("../../../config/minimal.toml");

/// Everything but routes.
const BASE: &str = r#"
[proxy]
listen = ["127.0.0.1:8080"]
[store]
url = "sqlite://gatepost.db"
[upstreams.app]
servers = ["127.0.0.1:3000"]
"#;

/// A configuration file in a folder of its own, and the environment that it is read in.
struct File {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl File {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Self { folder, environment: Environment::new() };
        std::fs::write(file.path(), content).unwrap();
        file.mode(0o640);
        file
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    fn mode(&self, mode: u32) {
        std::fs::set_permissions(self.path(), Permissions::from_mode(mode)).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("gatepost.toml")
    }

    /// Puts a file beside the configuration.
    fn beside(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn load(&self) -> Config {
        Config::load(&self.path(), &self.environment).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is printed about a file that is refused, without its folder.
    fn refused(&self) -> String {
        let error =
            Config::load(&self.path(), &self.environment).expect_err("it should be refused");
        if let ConfigError::Invalid(problems) = &error {
            assert!(problems.0.iter().any(|problem| problem.severity == Severity::Error));
        }
        self.printed(&error)
    }

    /// What is printed about a file that is odd, but good.
    fn warned(&self) -> String {
        let warnings = self.load().warnings;
        warnings.iter().map(|warning| self.printed(warning)).collect::<Vec<_>>().join("\n")
    }

    fn printed(&self, said: &impl ToString) -> String {
        said.to_string().replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// The files that we ship.
fn shipped() -> Vec<PathBuf> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let files = [config.clone(), config.join("examples")]
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}
