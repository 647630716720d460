//! `[store]`.

use std::path::Path;

use crate::config::parse::{store_url, url_password};
use crate::config::reader::{Section, Value};
use crate::config::{StoreSettings, defaults};

/// More connections than a Postgres server usually takes in all.
const MAX_POOL: u64 = 1000;

/// The file that a configuration stands in.
#[derive(Clone, Copy)]
pub struct Origin<'p> {
    pub path: &'p Path,
    /// Every user of the machine may read it.
    pub world_readable: bool,
}

impl<'p> Origin<'p> {
    /// What relative paths are relative to.
    pub fn folder(self) -> &'p Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

pub fn store(root: &mut Section<'_>, origin: Origin<'_>) -> Option<StoreSettings> {
    let mut store = root.section("store");
    let migrate_on_start = store.flag("migrate_on_start").unwrap_or(true);
    let pool = store.count("pool", 1..=MAX_POOL).map_or(defaults::POOL, |pool| pool as usize);
    let Some(url) = store.take_or_variable("url", "DATABASE_URL") else {
        store.missing("url", "\"sqlite://gatepost.db\" or \"postgres://user@host/database\"");
        return None;
    };
    let url = url.hidden();
    warn_of_bared_password(&url, origin);
    let url = url.parse(|text| store_url(text, origin.folder()))?;
    Some(StoreSettings { url, migrate_on_start, pool })
}

/// A password written out in a file that everybody may read is everybody's.
fn warn_of_bared_password(url: &Value<'_>, origin: Origin<'_>) {
    let password = url.literal().and_then(url_password);
    if origin.world_readable && password.is_some_and(|password| !password.starts_with("${")) {
        let message = "every user of this machine may read the password in `url`";
        let hint = "chmod 640 the file, or give it as DATABASE_URL or DATABASE_URL_FILE";
        url.reader().warn(url.at(), message, Some(hint.into()));
    }
}
