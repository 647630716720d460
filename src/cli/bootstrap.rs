use super::exit::{Exit, Failed};
use super::{complain, print, secret};
use crate::clock;
use crate::config::{self, Config};
use crate::key::{Environment, MintedKey, Pattern};
use crate::server;
use crate::store::{Actor, Change, NewKey, NewUser, Store, StoreError};

/// Makes the first admin, straight on the store. The key is alone on stdout.
pub fn run(
    config: &Config,
    env: &config::Environment,
    email: &str,
    again: bool,
) -> Result<Exit, Failed> {
    let secrets = secret::keys(env, &config.store.url)?;
    let runtime = super::runtime()?;
    let key = runtime.block_on(async {
        let store = server::open_beside(&config.store, &secrets).await?;
        make_admin(&*store, email, again).await
    })?;
    print(format!("{}\n", key.secret.reveal()).as_bytes())
}

async fn make_admin(store: &dyn Store, email: &str, again: bool) -> Result<MintedKey, Failed> {
    let instance = store.instance().await?;
    let environment = Environment::default();
    let minted = MintedKey::new(&environment, &instance.id_key)
        .map_err(|error| Failed::new(Exit::Failure, format!("error: no randomness: {error}")))?;
    let user_id = uuid::Uuid::now_v7();
    let change = Change::Bootstrap {
        user: NewUser {
            id: user_id,
            email: email.to_owned(),
            display_name: None,
            tier: None,
            roles: vec!["admin".to_owned()],
        },
        key: NewKey {
            id: uuid::Uuid::now_v7(),
            user_id,
            lookup_id: Some(minted.lookup_id),
            digest: minted.digest,
            name: "bootstrap".to_owned(),
            permissions: Pattern::parse("*").into_iter().collect(),
            environment,
            allowed_ips: Vec::new(),
            rate: None,
            quota: None,
            expires_at: None,
            metadata: None,
            rotated_from: None,
        },
        again,
    };
    let by = Actor { user_id: None, key_id: None, ip: None, request_id: None, at: clock::now() };
    store.commit(change, &by).await.map_err(refused)?;
    complain(&format!("{email} is an admin; the key is shown this once"));
    Ok(minted)
}

fn refused(error: StoreError) -> Failed {
    match error {
        StoreError::Conflict { field: "admin" } => Failed::new(
            Exit::Failure,
            "error: there is an admin already\n  hint: --again makes another one, and the audit \
             log tells",
        ),
        StoreError::Conflict { field: "email" } => {
            Failed::new(Exit::Failure, "error: a user with this email exists already")
        }
        error => error.into(),
    }
}
