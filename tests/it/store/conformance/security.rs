use std::time::Duration;

use gatepost::clock;
use gatepost::lockout::{
    Attempts, EventKind, Finding, KnownSource, Ledger, Lock, Recent, SecurityEvent, Source, Target,
};
use gatepost::store::{
    AttemptFilter, Change, EventFilter, EventOrder, LockoutFilter, RolePatch, StoreError,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Backend, a_user, by_command_line, done, first_page, new_role};

const HOUR: Recent = Recent(Duration::from_secs(3600));
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn source(n: u8) -> Source {
    Source::of([192, 0, 2, n].into())
}

fn attempts(target: Target, what: &str, count: u32) -> Attempts {
    let epoch = Timestamp::UNIX_EPOCH;
    Attempts { target, what: what.into(), since: epoch, slot_at: epoch, count }
}

fn lock(target: Target, at: Timestamp, minutes: i32) -> Lock {
    Lock { target, at, until: at + MINUTE * minutes, strikes: 1, cleared_at: None }
}

/// Microseconds are what a store keeps.
fn now() -> Timestamp {
    Timestamp::from_microsecond(clock::now().as_microsecond()).expect("a time")
}

async fn say(backend: &dyn Backend, said: Ledger) -> Ledger {
    backend.store().exchange(&said, HOUR).await.expect("an answer")
}

async fn say_lock(backend: &dyn Backend, lock: &Lock) -> Vec<Lock> {
    say(backend, Ledger { locks: vec![lock.clone()], ..Ledger::default() }).await.locks
}

pub async fn what_nodes_count_adds_up(backend: &dyn Backend) {
    let user = Uuid::now_v7();
    let (guess, account) = (Target::Guess(user, source(1)), Target::Account(user));
    let one = vec![attempts(guess, "", 4), attempts(account, "route-1", 1)];
    let two = vec![attempts(guess, "", 5), attempts(account, "route-2", 1)];
    say(backend, Ledger { attempts: one, ..Ledger::default() }).await;
    let mut heard = say(backend, Ledger { attempts: two, ..Ledger::default() }).await.attempts;
    heard.sort_by_key(|attempts| (attempts.target, attempts.what.clone()));
    let expected =
        [attempts(guess, "", 9), attempts(account, "route-1", 1), attempts(account, "route-2", 1)];
    assert_eq!(heard, expected);

    let of = AttemptFilter { user_id: Some(user), source: None };
    let told = backend.store().failed_attempts(&of).await.unwrap();
    assert_eq!(told.iter().map(|attempts| attempts.count).sum::<u64>(), 11);
    let elsewhere = AttemptFilter { user_id: None, source: Some(source(2)) };
    assert_eq!(backend.store().failed_attempts(&elsewhere).await.unwrap(), []);
}

pub async fn only_what_is_new_is_told(backend: &dyn Backend) {
    let said = attempts(Target::Source(source(1)), "", 3);
    say(backend, Ledger { attempts: vec![said], ..Ledger::default() }).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let recent = Recent(Duration::from_millis(10));
    let heard = backend.store().exchange(&Ledger::default(), recent).await.unwrap();
    assert!(heard.attempts.is_empty(), "{heard:?}");
}

pub async fn the_first_lock_stays(backend: &dyn Backend) {
    let (target, now) = (Target::Account(Uuid::now_v7()), now());
    let first = lock(target, now, 15);
    say_lock(backend, &first).await;
    let second = lock(target, now + MINUTE, 60);
    assert_eq!(say_lock(backend, &second).await, std::slice::from_ref(&first));

    let page = first_page(10);
    let rows = |at| {
        let page = &page;
        async move { backend.store().lockouts(&LockoutFilter::default(), at, page).await.unwrap().rows }
    };
    assert_eq!(rows(now).await[0].lock, first);
    assert!(rows(first.until).await.is_empty(), "it is over");
    let next = lock(target, first.until, 30);
    assert_eq!(say_lock(backend, &next).await, [next], "then another one can begin");
}

pub async fn a_lift_ends_a_lock_and_forgets_what_led_to_it(backend: &dyn Backend) {
    let (user, now) = (Uuid::now_v7(), now());
    let target = Target::Guess(user, source(1));
    let counted = attempts(target, "", 10);
    say(backend, Ledger { attempts: vec![counted], ..Ledger::default() }).await;
    say_lock(backend, &lock(target, now, 15)).await;
    let filter = LockoutFilter { user_id: Some(user), source: None };
    let page = backend.store().lockouts(&filter, now, &first_page(10)).await.unwrap();

    let by = by_command_line();
    let lifted = backend.store().lift(page.rows[0].id, &by).await.unwrap();
    assert_eq!(lifted.target, target);
    let again = backend.store().lift(page.rows[0].id, &by).await;
    assert!(matches!(again, Err(StoreError::NotFound { .. })), "{again:?}");
    let heard = say(backend, Ledger::default()).await;
    assert!(heard.attempts.is_empty(), "{heard:?}");
    assert!(heard.locks.iter().all(|lock| lock.cleared_at.is_some()), "nodes learn of it");
    let told = EventFilter { kind: Some(EventKind::BlockLifted), ..EventFilter::default() };
    let events = backend.store().events(&told, EventOrder::NewestFirst, &first_page(10)).await;
    assert_eq!(events.unwrap().rows[0].user_id, Some(user));

    let next = lock(target, clock::now() + MINUTE, 15);
    let heard = say_lock(backend, &next).await;
    assert!(heard[0].cleared_at.is_none(), "a new lock is no lifted one: {heard:?}");
}

pub async fn an_unlock_forgets_an_accounts_attempts(backend: &dyn Backend) {
    let store = backend.store();
    let (user, other) = (a_user(store, "ada@example.com").await.id, Uuid::now_v7());
    let targets = [Target::Guess(user, source(1)), Target::Account(user), Target::Account(other)];
    let counted = targets.map(|target| attempts(target, "", 3)).to_vec();
    say(backend, Ledger { attempts: counted, ..Ledger::default() }).await;
    say_lock(backend, &lock(targets[0], now(), 15)).await;
    done(store, Change::LockUser { id: user, until: None, reason: None }).await;
    done(store, Change::UnlockUser { id: user }).await;
    let heard = say(backend, Ledger::default()).await;
    let left: Vec<Target> = heard.attempts.iter().map(|attempts| attempts.target).collect();
    assert_eq!(left, [targets[2]], "somebody else's stay");
    let filter = LockoutFilter { user_id: Some(user), source: None };
    let page = store.lockouts(&filter, clock::now(), &first_page(10)).await.unwrap();
    assert!(page.rows.is_empty());
}

pub async fn a_known_source_is_as_new_as_the_newest(backend: &dyn Backend) {
    let known = |user_id, last_seen| KnownSource { user_id, source: source(1), last_seen };
    let (user, now) = (Uuid::now_v7(), now());
    for seen in [now, now - MINUTE] {
        let said = Ledger { known: vec![known(user, seen)], ..Ledger::default() };
        assert_eq!(say(backend, said).await.known, [known(user, now)]);
    }
}

fn event(kind: EventKind, user: Uuid, at: Timestamp) -> SecurityEvent {
    let finding = Finding::new(kind).user(user).with("guesses", 10);
    SecurityEvent { id: Uuid::now_v7(), at, node: "a node".into(), finding }
}

pub async fn an_event_is_kept_once_and_numbered(backend: &dyn Backend) {
    let (store, user, now) = (backend.store(), Uuid::now_v7(), now());
    let first = event(EventKind::Misuse, user, now);
    let same = event(EventKind::Misuse, user, now);
    let other = event(EventKind::BruteForce, user, now);
    let kept = store.record_events(&[first.clone(), same.clone()]).await.unwrap();
    assert_eq!(kept, [first.id], "another node noticed the same");
    let kept = store.record_events(&[same, other.clone()]).await.unwrap();
    assert_eq!(kept, [other.id]);

    let all = EventFilter { user_id: Some(user), ..EventFilter::default() };
    let page = store.events(&all, EventOrder::OldestFirst, &first_page(10)).await.unwrap();
    let ids: Vec<Uuid> = page.rows.iter().map(|row| row.id).collect();
    assert_eq!(ids, [first.id, other.id]);
    assert!(page.rows[0].seq < page.rows[1].seq);
    assert_eq!(page.rows[0].evidence["guesses"], 10);
    assert_eq!(&*page.rows[0].node, "a node");
    let kind = EventFilter { kind: Some(EventKind::BruteForce), ..all };
    let page = store.events(&kind, EventOrder::NewestFirst, &first_page(10)).await.unwrap();
    assert_eq!(page.rows.len(), 1);
    let past = EventFilter { to: Some(now - MINUTE), ..EventFilter::default() };
    let page = store.events(&past, EventOrder::NewestFirst, &first_page(10)).await.unwrap();
    assert!(page.rows.is_empty());
}

pub async fn changes_of_roles_tell_whom_they_are_about(backend: &dyn Backend) {
    let store = backend.store();
    let user = a_user(store, "ada@example.com").await.id;
    done(store, Change::CreateRole(new_role("clerk", &["orders:read"]))).await;
    let start = store.role_changes(None).await.unwrap().seq;
    done(store, Change::AddRoles { user, roles: vec!["clerk".into()] }).await;
    let patch = RolePatch { permissions: Some(Vec::new()), ..RolePatch::default() };
    done(store, Change::UpdateRole { name: "clerk".into(), patch }).await;
    let changes = store.role_changes(Some(start)).await.unwrap();
    assert_eq!((changes.users, changes.roles), (vec![user], vec!["clerk".to_owned()]));
    assert!(!changes.role_gone);
    done(store, Change::DeleteRole { name: "clerk".into() }).await;
    assert!(store.role_changes(Some(changes.seq)).await.unwrap().role_gone);
}

pub async fn what_is_old_is_forgotten(backend: &dyn Backend) {
    let (store, user) = (backend.store(), Uuid::now_v7());
    say(
        backend,
        Ledger { attempts: vec![attempts(Target::Account(user), "", 1)], ..Ledger::default() },
    )
    .await;
    let old = now() - MINUTE * 10;
    let events = [event(EventKind::Misuse, user, old), event(EventKind::BruteForce, user, now())];
    store.record_events(&events).await.unwrap();
    store.forget_security(old, old).await.unwrap();
    assert_eq!(say(backend, Ledger::default()).await.attempts.len(), 1, "none is so old");

    let later = clock::now() + MINUTE;
    store.forget_security(later, now() - MINUTE).await.unwrap();
    assert!(say(backend, Ledger::default()).await.attempts.is_empty());
    let all = EventFilter::default();
    let page = store.events(&all, EventOrder::OldestFirst, &first_page(10)).await.unwrap();
    assert_eq!(page.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [events[1].id]);
}
