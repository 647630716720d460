//! Who gets which answer, and what it costs the store.

use super::*;
use crate::key::{Environment, IdKey, MintedKey};

#[tokio::test]
async fn before_the_first_contact_nobody_is_judged() {
    let settings = CacheSettings { max_keys: 10, ttl: HOUR, serve_stale_for: HOUR };
    let stand = Stand::before_contact(settings);
    assert!(!stand.directory.is_ready());
    assert!(is_unavailable(&stand.ask_key().await));

    stand.poll().await.expect("the store is there");
    assert!(stand.directory.is_ready());
    known(stand.ask_key().await);
}

#[tokio::test]
async fn a_strangers_id_dies_without_a_query() {
    let stand = Stand::ready().await;
    let other = IdKey::from_bytes([9; 32]);
    for _ in 0..100 {
        let minted = MintedKey::new(&Environment::default(), &other).expect("randomness");
        let stranger = Credential::Minted { lookup_id: minted.lookup_id, digest: minted.digest };
        assert!(stand.directory.cached(&stranger).is_some_and(|answer| is_unknown(&answer)));
        assert!(is_unknown(&stand.directory.find(&stranger).await));
    }
    let foreign = Credential::Foreign { digest: Digest::of(b"a password") };
    assert!(stand.directory.cached(&foreign).is_some_and(|answer| is_unknown(&answer)));
    assert_eq!(stand.store.load_count(), 0);
    assert_eq!(stand.metrics.cache.not_ours.get(), 101);
}

#[tokio::test]
async fn a_known_key_and_guesses_at_it_cost_one_query() {
    let stand = Stand::ready().await;
    known(stand.ask_key().await);
    for _ in 0..100 {
        let cached = known(stand.directory.cached(&stand.credential).expect("it is cached"));
        assert_eq!(cached.id, stand.key);
        // That the digest is wrong is for the decision to say, from the record.
        known(stand.directory.cached(&guess(&stand.credential)).expect("it is cached"));
    }
    assert_eq!(stand.store.load_count(), 1);
    assert_eq!((stand.metrics.cache.hit.get(), stand.metrics.cache.miss.get()), (200, 1));
}

#[tokio::test]
async fn many_who_ask_for_one_key_share_one_load() {
    let stand = Arc::new(Stand::ready().await);
    let held = stand.store.held.clone().write_owned().await;
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let stand = stand.clone();
            tokio::spawn(async move { stand.ask_key().await })
        })
        .collect();
    stand.store.loads.subscribe().wait_for(|loads| *loads == 1).await.expect("a load");
    drop(held);
    for answer in asking {
        known(answer.await.expect("no panic"));
    }
    assert_eq!(stand.store.load_count(), 1);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_cancel_the_load() {
    let stand = Arc::new(Stand::ready().await);
    let held = stand.store.held.clone().write_owned().await;
    let asking = stand.clone();
    let impatient = tokio::spawn(async move { asking.ask_key().await });
    stand.store.loads.subscribe().wait_for(|loads| *loads == 1).await.expect("a load");
    impatient.abort();
    let asking = stand.clone();
    let patient = tokio::spawn(async move { asking.ask_key().await });
    drop(held);
    known(patient.await.expect("no panic"));
    assert_eq!(stand.store.load_count(), 1);
}

#[tokio::test]
async fn an_id_of_ours_without_a_key_is_asked_for_once() {
    let stand = Stand::ready().await;
    let unused = stand.store.unused_id();
    for _ in 0..100 {
        assert!(is_unknown(&stand.ask(&unused).await));
    }
    assert_eq!(stand.store.load_count(), 1);
    assert_eq!(stand.metrics.cache.negative.get(), 99);
}

#[tokio::test]
async fn a_store_that_hangs_looks_like_a_dead_one() {
    let stand = Stand::ready().await;
    let _held = stand.store.held.write().await;
    assert!(is_unavailable(&stand.ask_key().await), "and the test ends");
}

#[tokio::test]
async fn a_flood_of_ids_waits_in_bounded_number_and_the_rest_is_told_at_once() {
    let stand = Arc::new(Stand::ready().await);
    let held = stand.store.held.clone().write_owned().await;
    let ids: Vec<_> = (0..1100).map(|_| stand.store.unused_id()).collect();
    let asking: Vec<_> = ids
        .into_iter()
        .map(|id| {
            let stand = stand.clone();
            tokio::spawn(async move { stand.ask(&id).await })
        })
        .collect();
    stand.store.loads.subscribe().wait_for(|loads| *loads == 64).await.expect("loads");
    assert_eq!(stand.store.load_count(), 64, "others wait for their turn");
    drop(held);
    let mut refused = 0;
    for answer in asking {
        refused += usize::from(is_unavailable(&answer.await.expect("no panic")));
    }
    assert_eq!(refused, 1100 - 1024);
    known(stand.ask_key().await);
}

#[tokio::test]
async fn a_panic_under_a_load_fails_those_who_wait_and_nobody_else() {
    let stand = Stand::ready().await;
    stand.store.panic_once(crate::directory::scripted::Op::Load);
    assert!(is_unavailable(&stand.ask_key().await));
    known(stand.ask_key().await);
}

#[tokio::test]
async fn imported_keys_are_found_by_digest_and_only_they_cost_a_query() {
    let settings = CacheSettings { max_keys: 10, ttl: HOUR, serve_stale_for: HOUR };
    let stand = Stand::before_contact(settings);
    let imported = stand.store.add_imported("an old key of another system");
    stand.poll().await.expect("the store is there");
    assert_eq!(known(stand.ask(&imported).await).lookup_id, None);
    assert_eq!(stand.store.load_count(), 1);
}
