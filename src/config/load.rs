use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::reader::{Document, Reader, Section};
use super::sections::store::Origin;
use super::sections::{
    later, limits, listeners, lockout, routes, services, store, tests, upstreams,
};
use super::{Config, Environment, Problem, Problems, Severity};

/// Twenty thousand routes; what is larger is not a configuration.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Every bit that lets others than owner and group read.
const READABLE_BY_OTHERS: u32 = 0o004;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: the configuration cannot be read: {cause}", path = path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("{0}")]
    Invalid(Problems),
}

impl Config {
    /// Reads and validates `path`, with what the environment overrides.
    ///
    /// # Errors
    /// The file cannot be read, or has problems: all of them, warnings included.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let (bytes, world_readable) =
            read(path).map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
        let parsed = match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&text, Origin { path, world_readable }, environment),
            Err(cause) => Err(not_utf8(path, &cause)),
        };
        parsed.map_err(ConfigError::Invalid)
    }

    fn parse(text: &str, origin: Origin<'_>, environment: &Environment) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let name = origin.path.display().to_string();
        let document = Document::new(text);
        let table = document.table();
        let reader = Reader::new(&document, &name, environment);
        let whole = whole(Section::root(&reader, &table), origin);
        let failed = reader.failed();
        let problems = reader.finish();
        match whole {
            Some(config) if !failed => Ok(Self { warnings: problems.0, ..config }),
            _ => Err(problems),
        }
    }
}

/// Every section, in the order of the reference file.
fn whole(mut root: Section<'_>, origin: Origin<'_>) -> Option<Config> {
    let proxy = listeners::proxy(&mut root, origin.folder());
    let management = listeners::management(&mut root, &proxy.settings.listen);
    let store = store::store(&mut root, origin);
    let upstreams = upstreams::upstreams(&mut root);
    let policy = routes::policy(&mut root, &upstreams, proxy.for_routes);
    let tests = tests::tests(&mut root);
    let cache = services::cache(&mut root);
    let usage = services::usage(&mut root, origin, store.as_ref().map(|store| &store.url));
    let log = services::log(&mut root);
    let limits = limits::limits(&mut root);
    let lockout = lockout::lockout(&mut root);
    let webhooks = lockout::webhooks(&mut root);
    later::later(&mut root);
    Some(Config {
        proxy: proxy.settings,
        management,
        store: store?,
        upstreams: upstreams.read,
        policy: policy?,
        tests,
        cache,
        usage,
        limits,
        lockout,
        webhooks,
        log,
        warnings: Vec::new(),
    })
}

/// The bytes of a file of sensible size, and whether every user of the machine may read it.
fn read(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
    }
    Ok((bytes, metadata.permissions().mode() & READABLE_BY_OTHERS != 0))
}

fn not_utf8(path: &Path, cause: &std::string::FromUtf8Error) -> Problems {
    let good = &cause.as_bytes()[..cause.utf8_error().valid_up_to()];
    let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
    let column = 1 + good
        .iter()
        .rev()
        .take_while(|&&byte| byte != b'\n')
        .filter(|b| **b & 0xC0 != 0x80)
        .count();
    Problems(vec![Problem {
        severity: Severity::Error,
        origin: path.display().to_string(),
        place: Some((line, column)),
        message: "the text is not UTF-8 from here on".into(),
        hint: Some("is this the right file? If so, save it as UTF-8".into()),
    }])
}
