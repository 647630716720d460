use super::exit::{Exit, Failed};
use super::{complain, print};
use crate::clock;
use crate::config::{Config, Environment, StoreUrl};
use crate::secret_key::SecretKeys;
use crate::server::{self, GivenSecrets, SecretFiles, ServeError};
use crate::store::{Actor, StoreError};

#[derive(clap::Subcommand)]
pub enum Action {
    /// Take the store from SECRET_KEY_PREVIOUS to SECRET_KEY, the audit chain included
    Rotate(super::ConfigFile),
}

/// The secrets of the environment, or those beside the embedded store.
pub fn keys(env: &Environment, url: &StoreUrl) -> Result<SecretKeys, Failed> {
    Ok(server::secret_keys(&given(env)?, url).map_err(ServeError::from)?)
}

fn given(env: &Environment) -> Result<GivenSecrets, Failed> {
    Ok(GivenSecrets {
        current: setting(env, "SECRET_KEY", "SECRET_KEY_FILE")?,
        previous: setting(env, "SECRET_KEY_PREVIOUS", "SECRET_KEY_PREVIOUS_FILE")?,
    })
}

/// A variable, or the content of the file that the other one names.
fn setting(env: &Environment, name: &str, file_name: &str) -> Result<Option<String>, Failed> {
    if let Some(text) = env.get(name) {
        return Ok(Some(text.clone()));
    }
    let Some(path) = env.get(file_name) else { return Ok(None) };
    let read = std::fs::read_to_string(path);
    read.map(Some).map_err(|cause| {
        Failed::new(Exit::InvalidConfig, format!("error: {file_name}: {path}: {cause}"))
    })
}

pub fn run(config: &Config, env: &Environment) -> Result<Exit, Failed> {
    let given = given(env)?;
    let kept = match &config.store.url {
        StoreUrl::Sqlite(path) if given.current.is_none() => Some(SecretFiles::beside(path)),
        _ => None,
    };
    let mut secrets = server::secret_keys(&given, &config.store.url).map_err(ServeError::from)?;
    if secrets.previous.is_none() {
        // Without a file beside, it is the operator who makes the new secret.
        let files = kept.as_ref().ok_or_else(no_previous)?;
        secrets = files.renew().map_err(ServeError::from)?;
    }
    let head = super::runtime()?.block_on(async {
        let store = server::open_beside(&config.store, &secrets).await?;
        let by =
            Actor { user_id: None, key_id: None, ip: None, request_id: None, at: clock::now() };
        match store.rotate_secret(&by).await {
            // An earlier one was cut short when all was done but the tidying up.
            Err(StoreError::Protected(_)) if kept.is_some() => {
                store.chain_head().await?.ok_or(StoreError::NotFound { what: "audit row" })
            }
            rotated => rotated,
        }
        .map_err(refused)
    })?;
    if let Some(files) = &kept {
        files.forget_previous().map_err(ServeError::from)?;
    }
    complain(
        "the store is at the new SECRET_KEY; nodes that have it go on, any other changes nothing \
         until it is restarted with it",
    );
    print(format!("{}\n", head.mac).as_bytes())
}

fn no_previous() -> Failed {
    Failed::new(
        Exit::Usage,
        "error: SECRET_KEY_PREVIOUS is not set: it tells which secret is to go\n  hint: start every \
         node with the new SECRET_KEY and the old one as SECRET_KEY_PREVIOUS, then rotate",
    )
}

fn refused(error: StoreError) -> Failed {
    match error {
        StoreError::Incompatible(cause) => Failed::new(
            Exit::Failure,
            format!(
                "error: {cause}\n  hint: nothing was changed; `gatepost audit verify` tells more"
            ),
        ),
        error => error.into(),
    }
}
