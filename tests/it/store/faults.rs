//! A Postgres that is away, stands still, or is another one: never a hang, never a wrong answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatepost::store::postgres::PostgresStore;
use gatepost::store::{Change, NewKey, Store, StoreError};
use tokio::time::{sleep, timeout};

use super::conformance::{a_key, commit, load, new_user};
use crate::support::chain_keys;
use crate::support::postgres::Cluster;

async fn serving(cluster: &Cluster) -> (Arc<dyn Store>, NewKey) {
    cluster.migrate("postgres").await;
    let store: Arc<dyn Store> = Arc::new(
        PostgresStore::open(&cluster.url("postgres"), 4, chain_keys()).expect("the URL is right"),
    );
    let key = a_key(&store).await;
    (store, key)
}

async fn try_load(store: &Arc<dyn Store>, key: &NewKey) -> Result<bool, StoreError> {
    Ok(store.load_key(&key.lookup_id.expect("minted")).await?.is_some())
}

/// Every answer while the store is away is "unavailable", and none takes long.
async fn is_unavailable_without_hanging(store: &Arc<dyn Store>, key: &NewKey) {
    for _ in 0..6 {
        let load = timeout(Duration::from_secs(3), try_load(store, key));
        let error = load.await.expect("it does not hang").expect_err("it is away");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        let change = commit(store, Change::CreateUser(new_user("ben@example.com")));
        let change = timeout(Duration::from_secs(3), change);
        let error = change.await.expect("it does not hang").expect_err("it is away");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
}

async fn recovers_by_itself(store: &Arc<dyn Store>, key: &NewKey) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !matches!(try_load(store, key).await, Ok(true)) {
        assert!(Instant::now() < deadline, "it does not recover");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_looks_like_a_dead_one() {
    let cluster = Cluster::start("");
    let (store, key) = serving(&cluster).await;
    cluster.pause();
    is_unavailable_without_hanging(&store, &key).await;
    cluster.resume();
    recovers_by_itself(&store, &key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_found_again_when_it_is_back() {
    let cluster = Cluster::start("");
    let (store, key) = serving(&cluster).await;
    cluster.kill();
    is_unavailable_without_hanging(&store, &key).await;
    cluster.restart();
    recovers_by_itself(&store, &key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listening_goes_on_after_the_server_came_back() {
    let cluster = Cluster::start("");
    let (store, key) = serving(&cluster).await;
    let within = Duration::from_secs(20);
    timeout(within, store.wait_for_change()).await.expect("woken for having begun to listen");

    cluster.kill();
    cluster.restart();
    timeout(within, store.wait_for_change()).await.expect("woken after the gap");
    recovers_by_itself(&store, &key).await;
    let change = commit(&store, Change::RevokeKey { id: key.id });
    let (woken, change) = tokio::join!(timeout(within, store.wait_for_change()), change);
    change.expect("committed");
    woken.expect("woken by the change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_can_be_opened_before_the_server_is_there() {
    let cluster = Cluster::start("");
    cluster.migrate("postgres").await;
    cluster.kill();
    let store =
        PostgresStore::open(&cluster.url("postgres"), 4, chain_keys()).expect("the URL is right");
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    cluster.restart();
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.ping().await.is_err() {
        assert!(Instant::now() < deadline, "it does not recover");
        sleep(Duration::from_millis(50)).await;
    }
}

/// After a failover to an empty database, "no such key" would turn every client away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_database_under_the_same_address_is_not_believed() {
    let cluster = Cluster::start("");
    let (store, key) = serving(&cluster).await;
    cluster.execute("postgres", "DELETE FROM instance");
    cluster.execute(
        "postgres",
        "INSERT INTO instance (id, id_key, created_at)
         VALUES (gen_random_uuid(), decode(repeat('00', 32), 'hex'), now());
         TRUNCATE api_keys CASCADE",
    );
    cluster.kill();
    cluster.restart();
    for _ in 0..20 {
        let error = try_load(&store, &key).await.expect_err("it is not believed");
        let fits = matches!(error, StoreError::Unavailable(_) | StoreError::Incompatible(_));
        assert!(fits, "{error}");
        sleep(Duration::from_millis(25)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_was_not_migrated_is_said_to_be_so() {
    let cluster = Cluster::start("");
    let store =
        PostgresStore::open(&cluster.url("postgres"), 4, chain_keys()).expect("the URL is right");
    let error = store.instance().await.err().expect("there is nothing");
    assert!(matches!(error, StoreError::Incompatible(_)), "{error}");
    assert!(error.to_string().contains("gatepost migrate up"), "{error}");
}

/// A call that its caller gives up must not leave a transaction open behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_given_up_midway_is_rolled_back() {
    let cluster = Cluster::start("");
    let (store, key) = serving(&cluster).await;
    for n in 0..20 {
        let user = new_user(&format!("u{n}@example.com"));
        let change = commit(&store, Change::CreateUser(user.clone()));
        let committed = timeout(Duration::from_micros(200 * n), change).await.is_ok();
        let found = store.user(user.id).await;
        if committed {
            assert!(found.is_ok_and(|user| user.is_some()));
        }
    }
    recovers_by_itself(&store, &key).await;
    // Whatever was rolled back, the feed has no gap.
    let feed = store.changes_after(0, 1_000).await.expect("the feed");
    assert!(feed.iter().map(|entry| entry.seq).eq(1..=feed.len() as u64));
    assert!(load(&store, &key).await.revoked_at.is_none());
}
