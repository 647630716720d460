use std::path::Path;

use super::exit::{Exit, Failed};
use super::{complain, load, secret};
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
    let secrets = secret::keys(&source.environment, &config.store.url)?;
    server::serve(config, source, &secrets, listening)?;
    Ok(Exit::Ok)
}
