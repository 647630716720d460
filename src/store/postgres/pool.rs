//! Connections, and how long anything may take.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, RecyclingMethod, Runtime,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::MIGRATIONS;
use super::address::Address;
use super::breaker::Breaker;
use crate::store::StoreError;

/// The longest wait for a connection that others use.
const ACQUIRE: Duration = Duration::from_millis(250);

/// The longest that a new connection takes until it can be used.
const CREATE: Duration = Duration::from_millis(500);

/// A call on the request path: a statement of 500 ms at most after the wait for a connection.
pub(super) const REQUEST: Duration = Duration::from_millis(750);

/// A call that a person waits for, all in all.
pub(super) const MANAGEMENT: Duration = Duration::from_secs(1);

/// Bulk work, which nobody waits for.
pub(super) const BULK: Duration = Duration::from_secs(5);

/// Set once for each connection. A statement that a client gave up must not go on, and a node
/// that was stopped amid a change must not keep others from changing anything.
const SESSION: &str = "
    SET statement_timeout = '500ms';
    SET idle_in_transaction_session_timeout = '5s'";

pub(super) struct Pool {
    connections: deadpool_postgres::Pool,
    breaker: Breaker,
}

impl Pool {
    pub(super) fn new(address: &Address, size: usize) -> Result<Self, StoreError> {
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(
            address.config.clone(),
            address.tls.clone(),
            ManagerConfig { recycling_method },
        );
        let connections = deadpool_postgres::Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(ACQUIRE))
            .create_timeout(Some(CREATE))
            .recycle_timeout(Some(ACQUIRE))
            .runtime(Runtime::Tokio1)
            .post_create(greeting())
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { connections, breaker: Breaker::default() })
    }

    /// Does `work` on a connection, within `patience`: a store that hangs looks like a dead one.
    pub(super) async fn run<T>(
        &self,
        patience: Duration,
        work: impl AsyncFnOnce(&ClientWrapper) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.breaker.enter()?;
        let call = async {
            let lease = Lease(Some(self.connections.get().await?));
            let result = work(&lease).await;
            if !matches!(result, Err(StoreError::Unavailable(_))) {
                lease.give_back();
            }
            result
        };
        let result = timeout(patience, call)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("no answer in time".into())));
        self.breaker.note(&result);
        result
    }
}

/// A connection in use. It goes back only from work that came to its end: one that was given up
/// amid a statement or a transaction is closed.
struct Lease(Option<Object>);

impl Lease {
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Deref for Lease {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        self.0.as_ref().expect("a lease holds its connection until it is given back")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

/// Sets a new connection up, and checks that the store at its other end is the one we know: to an
/// empty or older database after a failover, every key would be unknown.
fn greeting() -> Hook {
    let known = Arc::new(OnceLock::new());
    Hook::async_fn(move |client, _| {
        let known = Arc::clone(&known);
        Box::pin(async move {
            client.batch_execute(SESSION).await.map_err(HookError::Backend)?;
            let sql = "SELECT id, (SELECT coalesce(max(version), 0) FROM schema_versions)
                         FROM instance";
            let row = client.query_opt(sql, &[]).await.map_err(HookError::Backend)?;
            let row = row.ok_or_else(|| HookError::message("it has no instance row"))?;
            let version: i32 = row.try_get(1).map_err(HookError::Backend)?;
            let id: Uuid = row.try_get(0).map_err(HookError::Backend)?;
            recognize(id, version, &known).map_err(HookError::message)
        })
    })
}

fn recognize(id: Uuid, version: i32, known: &OnceLock<Uuid>) -> Result<(), String> {
    if MIGRATIONS.last().is_some_and(|newest| version < newest.version as i32) {
        return Err(format!("its schema is at version {version}: run `gatepost migrate up`"));
    }
    let expected = *known.get_or_init(|| id);
    if id != expected {
        return Err(format!("it is another store ({id}) than the one known here ({expected})"));
    }
    Ok(())
}
