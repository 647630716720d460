//! Everything at once, with no set-up: a store, a sample upstream, users and keys.

mod orders;
mod people;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use orders::sample_api;
pub use people::{DemoKeys, people};

/// The configuration that a demo starts from; it stays in its folder to be read and changed.
pub const CONFIG: &str = include_str!("../../config/demo.toml");

/// The folder of a demo and the files in it.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder, private to its owner, and the configuration if it is not there yet.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let folder = Self(dir.to_owned());
        let mut options = std::fs::OpenOptions::new();
        match options.write(true).create_new(true).open(folder.config()) {
            Ok(mut file) => file.write_all(CONFIG.as_bytes())?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(folder)
    }

    pub fn config(&self) -> PathBuf {
        self.0.join("gatepost.toml")
    }

    fn env_file(&self) -> PathBuf {
        self.0.join("demo.env")
    }

    /// The keys that an earlier run left, if they are all there.
    pub fn keys(&self) -> Option<DemoKeys> {
        let text = Zeroizing::new(std::fs::read_to_string(self.env_file()).ok()?);
        let values: BTreeMap<&str, &str> =
            text.lines().filter_map(|line| line.split_once('=')).collect();
        let value = |name| values.get(name).map(|key| Zeroizing::new((*key).to_owned()));
        Some(DemoKeys {
            admin: value("ADMIN_KEY")?,
            reader: value("READER_KEY")?,
            developer: value("DEVELOPER_KEY")?,
        })
    }

    /// Writes what scripts need, readable by the owner alone, in one step.
    pub fn write_env(
        &self,
        keys: &DemoKeys,
        proxy: SocketAddr,
        management: SocketAddr,
    ) -> std::io::Result<()> {
        let text = Zeroizing::new(format!(
            "PROXY=http://{proxy}\nMANAGEMENT=http://{management}\n\
             ADMIN_KEY={}\nREADER_KEY={}\nDEVELOPER_KEY={}\n",
            *keys.admin, *keys.reader, *keys.developer
        ));
        let draft = self.0.join(".demo.env.new");
        let _ = std::fs::remove_file(&draft);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(draft, self.env_file())
    }
}
