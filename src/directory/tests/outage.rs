//! The store is away, slow to come back, or another one.

use super::*;
use crate::directory::scripted::Op;
use crate::store::FeedSubject;

#[tokio::test]
async fn known_keys_go_on_working_and_nothing_else_is_let_in() {
    let stand = Stand::ready().await;
    let (_, cold) = stand.store.add_key(Uuid::now_v7(), "developer");
    let unused = stand.store.unused_id();
    known(stand.ask_key().await);
    assert!(is_unknown(&stand.ask(&unused).await));

    stand.store.fail(&Op::ALL);
    stand.poll().await.expect_err("the store is away");
    assert!(stand.directory.is_degraded() && stand.directory.is_ready());
    known(stand.ask_key().await);
    assert_eq!(stand.metrics.cache.stale.get(), 1);
    assert_eq!(stand.metrics.store.up.get(), 0);
    assert!(is_unavailable(&stand.ask(&cold).await));
    assert!(is_unavailable(&stand.ask(&unused).await), "it may have been made since");
    let stranger = Credential::Foreign { digest: Digest::of(b"not ours") };
    assert!(is_unknown(&stand.ask(&stranger).await), "an outage does not matter to strangers");

    stand.store.heal();
    stand.poll().await.expect("the store is back");
    assert!(!stand.directory.is_degraded());
    known(stand.ask(&cold).await);
    assert!(is_unknown(&stand.ask(&unused).await));
}

#[tokio::test]
async fn known_keys_stop_when_the_store_has_been_away_for_too_long() {
    let settings = CacheSettings { max_keys: 10, ttl: HOUR, serve_stale_for: Duration::ZERO };
    let stand = Stand::with(settings).await;
    known(stand.ask_key().await);
    tokio::time::sleep(Duration::from_millis(2)).await;
    known(stand.ask_key().await);

    stand.store.fail(&Op::ALL);
    stand.poll().await.expect_err("the store is away");
    assert!(is_unavailable(&stand.ask_key().await));

    stand.store.heal();
    stand.poll().await.expect("the store is back");
    known(stand.ask_key().await);
    assert_eq!(stand.store.load_count(), 1, "it was there all the time");
}

#[tokio::test]
async fn changes_made_while_the_store_was_away_arrive_before_it_counts_as_back() {
    let stand = Stand::ready().await;
    known(stand.ask_key().await);
    stand.store.fail(&Op::ALL);
    stand.poll().await.expect_err("the store is away");
    stand.store.change(stand.revoke()).expect("another node makes it");
    stand.store.heal();
    stand.poll().await.expect("the store is back");
    assert!(known(stand.ask_key().await).revoked_at.is_some());
}

#[tokio::test]
async fn a_key_whose_time_has_come_is_served_while_it_is_loaded_again() {
    let settings = CacheSettings { max_keys: 10, ttl: Duration::ZERO, serve_stale_for: HOUR };
    let stand = Stand::with(settings).await;
    known(stand.ask_key().await);

    stand.store.fail(&[Op::Load]);
    for _ in 0..10 {
        known(stand.directory.cached(&stand.credential).expect("it does not wait"));
        tokio::task::yield_now().await;
    }
    assert_eq!(stand.store.load_count(), 1, "the store did not answer");

    let (_, second) = stand.store.add_key(stand.user, "developer");
    stand.store.heal();
    known(stand.ask(&second).await);
    known(stand.directory.cached(&second).expect("it does not wait"));
    let loaded = stand.store.loads.subscribe().wait_for(|loads| *loads == 3).await.is_ok();
    assert!(loaded, "behind the answer");
}

#[tokio::test]
async fn another_store_in_its_place_is_never_asked_who_is_known() {
    let stand = Stand::ready().await;
    known(stand.ask_key().await);

    let mut empty = stand.store.rows();
    empty.instance.id = Uuid::now_v7();
    empty.keys.clear();
    let (_, cold) = stand.store.add_key(Uuid::now_v7(), "developer");
    let ours = stand.store.rows();
    stand.store.restore(empty);

    // Even before the feed has told: a key that exists is not called invalid.
    assert!(is_unavailable(&stand.ask(&cold).await));
    stand.poll().await.expect_err("it is another store");
    assert!(is_unavailable(&stand.ask(&cold).await));
    assert!(stand.directory.is_degraded());

    stand.store.restore(ours);
    stand.poll().await.expect("the right store is back");
    known(stand.ask(&cold).await);
}

#[tokio::test]
async fn an_old_backup_in_its_place_unrevokes_nothing() {
    let stand = Stand::ready().await;
    stand.commit(Change::UnlockUser { id: Uuid::now_v7() }).await;
    let (other_key, other) = stand.store.add_key(Uuid::now_v7(), "developer");
    let backup = stand.store.rows();
    known(stand.ask_key().await);
    stand.commit(Change::RevokeKey { id: other_key }).await;
    let ours = stand.store.rows();

    tokio::time::sleep(Duration::from_millis(2)).await;
    stand.store.restore(backup.clone());
    // For a moment nobody can know better.
    assert!(known(stand.ask(&other).await).revoked_at.is_none());
    stand.poll().await.expect_err("its feed ends before what was read of it");
    assert!(is_unavailable(&stand.ask(&other).await), "what it told is forgotten");

    // It goes on, and its feed is soon as long as ours was.
    let mut forked = backup;
    let seq = ours.feed.last().expect("two changes").seq;
    let subject = FeedSubject::User(Uuid::now_v7());
    forked.feed.push(crate::store::FeedEntry { seq, subject });
    stand.store.restore(forked);
    stand.poll().await.expect_err("its feed has another history");
    assert!(is_unavailable(&stand.ask(&other).await));

    stand.store.restore(ours);
    stand.poll().await.expect("the right store is back");
    assert!(known(stand.ask(&other).await).revoked_at.is_some());
}

#[tokio::test]
async fn revoked_is_sticky_whatever_an_old_copy_says() {
    let settings = CacheSettings { max_keys: 10, ttl: Duration::ZERO, serve_stale_for: HOUR };
    let stand = Stand::with(settings).await;
    let before = stand.store.rows();
    stand.commit(stand.revoke()).await;
    assert!(known(stand.ask_key().await).revoked_at.is_some());

    stand.store.restore(before);
    known(stand.directory.cached(&stand.credential).expect("loaded again behind this answer"));
    stand.store.loads.subscribe().wait_for(|loads| *loads == 2).await.expect("a load");
    for _ in 0..10 {
        tokio::task::yield_now().await;
        let cached = stand.directory.cached(&stand.credential).expect("it is cached");
        assert!(known(cached).revoked_at.is_some());
    }
}
