//! The demo's users, roles and keys.

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::clock;
use crate::key::{Environment, IdKey, MintedKey, Pattern, Permission};
use crate::store::{
    Actor, Change, NewKey, NewPermission, NewRole, NewUser, PageRequest, Store, StoreError,
    UserFilter,
};

/// The texts of the demo's keys: shown, because showing them is what a demo is for.
pub struct DemoKeys {
    pub admin: Zeroizing<String>,
    pub reader: Zeroizing<String>,
    pub developer: Zeroizing<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no randomness: {0}")]
    Randomness(getrandom::Error),
}

/// Who is made: email, roles, the key's permissions.
const ADMIN: Person = Person { email: "admin@example.com", roles: &["admin"], may: &["*"] };
const READER: Person =
    Person { email: "reader@example.com", roles: &["orders-reader"], may: &["orders:read"] };
const DEVELOPER: Person = Person {
    email: "developer@example.com",
    roles: &["developer", "orders-reader"],
    may: &["api_keys:*", "orders:read"],
};

struct Person {
    email: &'static str,
    roles: &'static [&'static str],
    may: &'static [&'static str],
}

/// Makes what is missing of the demo's users and roles, and a new key for each user.
pub async fn people(store: &dyn Store) -> Result<DemoKeys, PeopleError> {
    let id_key = store.instance().await?.id_key;
    vocabulary(store).await?;
    Ok(DemoKeys {
        admin: key_of(store, &id_key, &ADMIN).await?,
        reader: key_of(store, &id_key, &READER).await?,
        developer: key_of(store, &id_key, &DEVELOPER).await?,
    })
}

async fn vocabulary(store: &dyn Store) -> Result<(), StoreError> {
    for (name, description) in [("orders:read", "Read orders"), ("orders:delete", "Delete orders")]
    {
        let Ok(name) = Permission::parse(name) else { continue };
        let permission = NewPermission {
            name,
            category: Some("orders".to_owned()),
            description: Some(description.to_owned()),
        };
        unless_there(store.commit(Change::CreatePermission(permission), &by()).await)?;
    }
    let role = NewRole {
        name: "orders-reader".to_owned(),
        description: Some("Reads orders".to_owned()),
        permissions: Pattern::parse("orders:read").into_iter().collect(),
    };
    unless_there(store.commit(Change::CreateRole(role), &by()).await)
}

async fn key_of(
    store: &dyn Store,
    id_key: &IdKey,
    person: &Person,
) -> Result<Zeroizing<String>, PeopleError> {
    let user_id = match user_id(store, person.email).await? {
        Some(id) => id,
        None => new_user(store, person).await?,
    };
    let environment = Environment::default();
    let minted = MintedKey::new(&environment, id_key).map_err(PeopleError::Randomness)?;
    let key = NewKey {
        id: Uuid::now_v7(),
        user_id,
        lookup_id: Some(minted.lookup_id),
        digest: minted.digest,
        name: "demo".to_owned(),
        permissions: person.may.iter().filter_map(|text| Pattern::parse(text).ok()).collect(),
        environment,
        allowed_ips: Vec::new(),
        rate: None,
        quota: None,
        expires_at: None,
        metadata: None,
        rotated_from: None,
    };
    store.commit(Change::CreateKey(key), &by()).await?;
    Ok(Zeroizing::new(minted.secret.reveal().to_owned()))
}

async fn user_id(store: &dyn Store, email: &str) -> Result<Option<Uuid>, StoreError> {
    let filter = UserFilter { email: Some(email.to_owned()), ..UserFilter::default() };
    let page = store.users(&filter, &PageRequest { limit: 1, after: None }).await?;
    Ok(page.rows.first().map(|user| user.id))
}

async fn new_user(store: &dyn Store, person: &Person) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    let user = NewUser {
        id,
        email: person.email.to_owned(),
        display_name: None,
        tier: None,
        roles: person.roles.iter().map(|role| (*role).to_owned()).collect(),
    };
    store.commit(Change::CreateUser(user), &by()).await?;
    Ok(id)
}

fn by() -> Actor {
    Actor { user_id: None, key_id: None, ip: None, request_id: None, at: clock::now() }
}

/// What an earlier run has made is not a failure.
fn unless_there<T>(result: Result<T, StoreError>) -> Result<(), StoreError> {
    match result {
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
