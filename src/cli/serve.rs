use std::path::Path;

use super::exit::{Exit, Failed};
use super::{complain, load};
use crate::config::{Config, Environment};
use crate::server::{self, Source};
use crate::telemetry;

pub fn run(path: &Path, env: Environment) -> Result<Exit, Failed> {
    let source = Source { path: path.to_owned(), environment: env };
    let config = load(&source.path, &source.environment)?;
    let _logging = telemetry::init(&config.log);
    let proxies: Vec<String> =
        config.proxy.listen.iter().map(|listen| listen.addr.to_string()).collect();
    let management = config.management.listen;
    with_secret(config, source, || {
        complain(&format!("proxy on {}, management on {management}", proxies.join(", ")));
    })
}

/// Serves with the `SECRET_KEY` of the environment, or the one beside the embedded store.
pub fn with_secret(
    config: Config,
    source: Source,
    listening: impl FnOnce(),
) -> Result<Exit, Failed> {
    let given = secret_setting(&source.environment)?;
    let secret = server::secret_key(given.as_deref(), &config.store.url)
        .map_err(server::ServeError::from)?;
    server::serve(config, source, &secret, listening)?;
    Ok(Exit::Ok)
}

/// `SECRET_KEY`, or the file that `SECRET_KEY_FILE` names.
fn secret_setting(env: &Environment) -> Result<Option<String>, Failed> {
    if let Some(text) = env.get("SECRET_KEY") {
        return Ok(Some(text.clone()));
    }
    let Some(path) = env.get("SECRET_KEY_FILE") else { return Ok(None) };
    let read = std::fs::read_to_string(path);
    read.map(Some).map_err(|cause| {
        Failed::new(Exit::InvalidConfig, format!("error: SECRET_KEY_FILE: {path}: {cause}"))
    })
}
