//! A change is effective when it is answered, and touches nothing else.

use super::*;
use crate::directory::scripted::{Op, pattern};
use crate::key::Permission;
use crate::store::{NewKey, NewPermission, RolePatch};

fn new_key(user: Uuid, credential: &Credential) -> Change {
    let (lookup_id, digest) = match *credential {
        Credential::Minted { lookup_id, digest } => (Some(lookup_id), digest),
        Credential::Foreign { digest } => (None, digest),
    };
    Change::CreateKey(NewKey {
        id: Uuid::now_v7(),
        user_id: user,
        lookup_id,
        digest,
        name: "new".into(),
        permissions: Vec::new(),
        environment: Default::default(),
        allowed_ips: Vec::new(),
        rate: None,
        quota: None,
        expires_at: None,
        metadata: None,
        rotated_from: None,
    })
}

fn narrow(role: &str) -> Change {
    let permissions = Some(vec![pattern("orders:list")]);
    Change::UpdateRole { name: role.into(), patch: RolePatch { description: None, permissions } }
}

#[tokio::test]
async fn a_revocation_is_effective_when_it_is_answered() {
    let stand = Stand::ready().await;
    assert!(known(stand.ask_key().await).revoked_at.is_none());
    stand.commit(stand.revoke()).await;
    assert!(stand.directory.cached(&stand.credential).is_none());
    assert!(known(stand.ask_key().await).revoked_at.is_some());
}

#[tokio::test]
async fn a_load_begun_before_a_revocation_cannot_put_the_old_state_back() {
    let stand = Arc::new(Stand::ready().await);
    let held = stand.store.held.clone().write_owned().await;
    let asking = stand.clone();
    let early = tokio::spawn(async move { asking.ask_key().await });
    stand.store.loads.subscribe().wait_for(|loads| *loads == 1).await.expect("a load");

    stand.commit(stand.revoke()).await;
    drop(held);
    assert!(known(early.await.expect("no panic")).revoked_at.is_some(), "it was read again");
    assert!(known(stand.ask_key().await).revoked_at.is_some());
    assert_eq!(stand.store.load_count(), 2);
}

#[tokio::test]
async fn a_load_is_read_again_only_for_a_change_that_touches_it() {
    let stand = Arc::new(Stand::ready().await);
    let (other, _) = stand.store.add_key(Uuid::now_v7(), "developer");
    let held = stand.store.held.clone().write_owned().await;
    let asking = stand.clone();
    let early = tokio::spawn(async move { asking.ask_key().await });
    stand.store.loads.subscribe().wait_for(|loads| *loads == 1).await.expect("a load");

    stand.commit(Change::RevokeKey { id: other }).await;
    stand.commit(Change::LockUser { id: Uuid::now_v7(), until: None, reason: None }).await;
    stand.commit(narrow("operator")).await;
    drop(held);
    known(early.await.expect("no panic"));
    assert_eq!(stand.store.load_count(), 1);
}

#[tokio::test]
async fn a_change_of_a_user_touches_all_their_keys_and_nobody_elses() {
    let stand = Stand::ready().await;
    let (_, second) = stand.store.add_key(stand.user, "developer");
    let (_, others) = stand.store.add_key(Uuid::now_v7(), "developer");
    for credential in [&stand.credential, &second, &others] {
        known(stand.ask(credential).await);
    }
    stand.commit(stand.lock()).await;
    assert!(known(stand.ask_key().await).owner.lock.is_some());
    assert!(known(stand.ask(&second).await).owner.lock.is_some());
    assert!(known(stand.ask(&others).await).owner.lock.is_none());
    assert_eq!(stand.store.load_count(), 5, "three, and the user's two again");

    stand.commit(Change::UnlockUser { id: stand.user }).await;
    assert!(known(stand.ask_key().await).owner.lock.is_none());
}

#[tokio::test]
async fn a_change_of_a_role_touches_those_who_hold_it() {
    let stand = Stand::ready().await;
    let (_, operators) = stand.store.add_key(Uuid::now_v7(), "operator");
    let read = Permission::parse("orders:read").expect("a permission");
    assert!(known(stand.ask_key().await).allows(&read));
    assert!(known(stand.ask(&operators).await).allows(&read));

    stand.commit(narrow("developer")).await;
    assert!(!known(stand.ask_key().await).allows(&read));
    assert!(known(stand.ask(&operators).await).allows(&read));
    assert_eq!(stand.store.load_count(), 3);
}

#[tokio::test]
async fn a_change_that_no_decision_reads_costs_nothing() {
    let stand = Stand::ready().await;
    known(stand.ask_key().await);
    let name = Permission::parse("orders:read").expect("a permission");
    let permission = NewPermission { name, category: None, description: None };
    stand.commit(Change::CreatePermission(permission)).await;
    known(stand.directory.cached(&stand.credential).expect("it is still cached"));
}

#[tokio::test]
async fn a_new_key_works_at_once_even_if_its_id_was_asked_for_before() {
    let stand = Stand::ready().await;
    let new = stand.store.unused_id();
    assert!(is_unknown(&stand.ask(&new).await));
    stand.commit(new_key(stand.user, &new)).await;
    known(stand.ask(&new).await);
}

#[tokio::test]
async fn a_key_imported_later_works_at_once() {
    let stand = Stand::ready().await;
    let imported = Credential::Foreign { digest: Digest::of(b"of another system") };
    assert!(is_unknown(&stand.ask(&imported).await));
    stand.commit(new_key(stand.user, &imported)).await;
    known(stand.ask(&imported).await);
}

#[tokio::test]
async fn a_change_made_elsewhere_arrives_with_the_next_reading() {
    let stand = Stand::ready().await;
    known(stand.ask_key().await);
    stand.store.change(stand.revoke()).expect("the change is made");
    stand.poll().await.expect("the store is there");
    assert!(known(stand.ask_key().await).revoked_at.is_some());
}

#[tokio::test]
async fn changes_beyond_one_page_are_all_read_at_once() {
    let stand = Stand::ready().await;
    known(stand.ask_key().await);
    for _ in 0..2500 {
        stand.store.change(Change::UnlockUser { id: Uuid::now_v7() }).expect("the change is made");
    }
    stand.store.change(stand.revoke()).expect("the change is made");
    assert_eq!(stand.poll().await.expect("the store is there"), 2501);
    assert!(known(stand.ask_key().await).revoked_at.is_some());
}

#[tokio::test]
async fn following_hears_of_changes_and_survives_a_panic_of_its_own() {
    let stand = Stand::ready().await;
    let following = tokio::spawn(stand.directory.clone().follow());
    for expected_to_break in [false, true] {
        if expected_to_break {
            stand.store.panic_once(Op::Feed);
        }
        let new = stand.store.unused_id();
        while !is_unknown(&stand.ask(&new).await) {
            tokio::task::yield_now().await;
        }
        stand.store.change(new_key(stand.user, &new)).expect("the change is made");
        while !matches!(stand.ask(&new).await, Answer::Known(_)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    following.abort();
}

#[tokio::test]
async fn what_was_trimmed_before_it_was_read_makes_everything_be_loaded_again() {
    let stand = Stand::ready().await;
    known(stand.ask_key().await);
    stand.store.change(stand.revoke()).expect("the change is made");
    stand.store.change(Change::UnlockUser { id: Uuid::now_v7() }).expect("the change is made");
    stand.store.trim(1);
    stand.poll().await.expect("the store is there");
    assert!(known(stand.ask_key().await).revoked_at.is_some());
}

#[tokio::test]
async fn a_change_whose_feed_cannot_be_read_is_effective_all_the_same() {
    let stand = Stand::ready().await;
    let (_, others) = stand.store.add_key(Uuid::now_v7(), "operator");
    known(stand.ask_key().await);
    known(stand.ask(&others).await);

    stand.store.fail(&[Op::Feed, Op::Load]);
    stand.commit(stand.revoke()).await;
    assert!(is_unavailable(&stand.ask_key().await), "rather than the old state");
    known(stand.ask(&others).await);

    stand.store.heal();
    stand.poll().await.expect("the store is there");
    assert!(known(stand.ask_key().await).revoked_at.is_some());
}

#[tokio::test]
async fn a_change_that_was_not_made_changes_nothing() {
    let stand = Stand::ready().await;
    known(stand.ask_key().await);
    stand.store.fail(&[Op::Commit]);
    let refused = stand.directory.commit(stand.revoke(), &actor()).await;
    assert!(refused.is_err());
    assert!(known(stand.ask_key().await).revoked_at.is_none());
}
