use super::complain;
use super::exit::{Exit, Failed};
use crate::config::{Config, Environment};
use crate::{server, telemetry};

pub fn run(config: Config, env: &Environment) -> Result<Exit, Failed> {
    let _logging = telemetry::init(&config.log);
    let proxies: Vec<String> =
        config.proxy.listen.iter().map(|listen| listen.addr.to_string()).collect();
    let management = config.management.listen;
    with_secret(config, env, || {
        complain(&format!("proxy on {}, management on {management}", proxies.join(", ")));
    })
}

/// Serves with the `SECRET_KEY` of the environment, or the one beside the embedded store.
pub fn with_secret(
    config: Config,
    env: &Environment,
    listening: impl FnOnce(),
) -> Result<Exit, Failed> {
    let given = secret_setting(env)?;
    let secret = server::secret_key(given.as_deref(), &config.store.url)
        .map_err(server::ServeError::from)?;
    server::serve(config, &secret, listening)?;
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
