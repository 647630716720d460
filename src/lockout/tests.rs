//! With the clock in hand.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::*;
use crate::key::{AccountLock, Digest, Environment, Grants, Owner};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 60 * minutes).unwrap()
}

fn source(n: u32) -> Source {
    Source::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n))
}

fn key(user: u128, id: u128) -> KeyRecord {
    KeyRecord {
        id: Uuid::from_u128(id),
        lookup_id: None,
        digest: Digest::of(b"a key"),
        name: "test".into(),
        environment: Environment::default(),
        permissions: Grants::default(),
        allowed_ips: Box::default(),
        expires_at: None,
        disabled: false,
        revoked_at: None,
        rate: None,
        quota: None,
        owner: Owner {
            id: Uuid::from_u128(user),
            email: "ada@example.com".into(),
            tier: None,
            lock: None::<AccountLock>,
            disabled: false,
            roles: Box::new(["clerk".into()]),
            grants: Grants::default(),
        },
    }
}

fn lockout() -> Lockout {
    Lockout::new(Settings::default())
}

fn kinds(findings: &[Finding]) -> Vec<EventKind> {
    findings.iter().map(|finding| finding.kind).collect()
}

fn fail(lockout: &Lockout, times: usize, from: Source, now: Timestamp) -> Vec<EventKind> {
    (0..times).flat_map(|_| kinds(&lockout.failed(from, None, now))).collect()
}

fn guess(lockout: &Lockout, times: usize, from: Source, now: Timestamp) -> Vec<EventKind> {
    (0..times).flat_map(|_| kinds(&lockout.guessed(&key(1, 2), from, now))).collect()
}

fn misuse(lockout: &Lockout, routes: std::ops::Range<u32>, now: Timestamp) -> Vec<EventKind> {
    let route = |n| format!("route-{n}");
    let misuse = |n| lockout.misused(&key(1, 2), Misuse::Route(&route(n)), source(1), now);
    routes.flat_map(|n| kinds(&misuse(n))).collect()
}

// ---- source blocks ----

#[test]
fn one_failure_less_than_the_threshold_does_nothing_and_the_threshold_blocks() {
    let lockout = lockout();
    assert_eq!(fail(&lockout, 19, source(1), at(0)), []);
    assert_eq!(lockout.blocked(source(1), at(0)), None);
    assert_eq!(fail(&lockout, 1, source(1), at(0)), [EventKind::SourceBlocked]);
    assert_eq!(lockout.blocked(source(1), at(0)), Some(Duration::from_secs(60)));
    assert_eq!(lockout.blocked(source(2), at(0)), None, "nobody else");
}

#[test]
fn failures_outside_the_window_do_not_add_up() {
    let lockout = lockout();
    for minute in 0..100 {
        assert_eq!(fail(&lockout, 19, source(1), at(2 * minute)), []);
    }
}

#[test]
fn a_block_ends_by_time_and_the_next_is_longer_up_to_an_hour() {
    let lockout = lockout();
    let mut now = at(0);
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        fail(&lockout, 20, source(1), now);
        let left = lockout.blocked(source(1), now).unwrap();
        assert_eq!(left, Duration::from_secs(60 * minutes));
        now += SignedDuration::try_from(left).unwrap();
        assert_eq!(lockout.blocked(source(1), now), None);
    }
    now += 61 * MINUTE;
    fail(&lockout, 20, source(1), now);
    let left = lockout.blocked(source(1), now);
    assert_eq!(left, Some(Duration::from_secs(60)), "after a quiet hour it begins anew");
}

#[test]
fn a_clock_set_back_makes_no_eternal_block() {
    let lockout = lockout();
    fail(&lockout, 20, source(1), at(600));
    assert_eq!(lockout.blocked(source(1), at(0)), None);
}

#[test]
fn a_source_that_tries_many_key_ids_is_told_of() {
    let lockout = lockout();
    let ids = (0..8).map(|n| crate::key::LookupId::parse(format!("{n:016}").as_bytes()).unwrap());
    let findings: Vec<_> = ids.flat_map(|id| lockout.failed(source(1), Some(&id), at(0))).collect();
    assert_eq!(kinds(&findings), [EventKind::CredentialStuffing]);
}

// ---- guessing ----

#[test]
fn ten_guesses_lock_the_account_there_and_nowhere_else() {
    let lockout = lockout();
    assert_eq!(guess(&lockout, 9, source(1), at(0)), []);
    assert!(!lockout.locked(&key(1, 2), source(1), at(0)));
    assert_eq!(guess(&lockout, 1, source(1), at(0)), [EventKind::BruteForce]);
    assert!(lockout.locked(&key(1, 2), source(1), at(0)));
    assert!(lockout.locked(&key(1, 3), source(1), at(0)), "the account, not one key of it");
    assert!(!lockout.locked(&key(1, 2), source(2), at(0)), "the owner is untouched elsewhere");
    assert!(!lockout.locked(&key(9, 9), source(1), at(0)), "so is a neighbour");
}

#[test]
fn a_lock_ends_by_time_doubles_up_to_a_day_and_ends_by_hand() {
    let lockout = lockout();
    let mut now = at(0);
    for minutes in [15, 30, 60, 120, 240, 480, 960, 1440, 1440] {
        guess(&lockout, 10, source(1), now);
        let last = now + minutes * MINUTE - SignedDuration::from_micros(1);
        assert!(lockout.locked(&key(1, 2), source(1), last), "{minutes}");
        now += minutes * MINUTE;
        assert!(!lockout.locked(&key(1, 2), source(1), now), "{minutes}");
    }
    guess(&lockout, 10, source(1), now);
    lockout.forgive(Uuid::from_u128(1), now + MINUTE);
    assert!(!lockout.locked(&key(1, 2), source(1), now + MINUTE));
    assert_eq!(guess(&lockout, 9, source(1), now + MINUTE), [], "the count begins anew");
    assert_eq!(guess(&lockout, 1, source(1), now + MINUTE), [EventKind::BruteForce]);
    assert!(!lockout.locked(&key(1, 2), source(1), now + 16 * MINUTE), "and so does the length");
}

#[test]
fn a_source_where_the_account_works_is_never_locked_by_guessing() {
    let lockout = lockout();
    lockout.authenticated(&key(1, 2), source(1), at(0));
    assert_eq!(guess(&lockout, 10, source(1), at(60))[..1], [EventKind::BruteForce]);
    assert!(!lockout.locked(&key(1, 2), source(1), at(60)));
    guess(&lockout, 10, source(1), at(60 * 25));
    assert!(lockout.locked(&key(1, 2), source(1), at(60 * 25)), "a day later it is any source");

    let strict = Lockout::new(Settings { spare_known_sources: false, ..Settings::default() });
    strict.authenticated(&key(1, 2), source(1), at(0));
    guess(&strict, 10, source(1), at(0));
    assert!(strict.locked(&key(1, 2), source(1), at(0)));
}

#[test]
fn guessing_from_many_sources_is_an_event_and_no_lock() {
    let lockout = lockout();
    let all: Vec<_> = (0..500).flat_map(|n| guess(&lockout, 9, source(n), at(0))).collect();
    assert_eq!(all, [EventKind::DistributedGuessing]);
    assert!((0..1000).all(|n| !lockout.locked(&key(1, 2), source(n), at(0))));
}

// ---- misuse ----

#[test]
fn twenty_different_misuses_lock_everywhere() {
    let lockout = lockout();
    assert_eq!(misuse(&lockout, 0..19, at(0)), [EventKind::PermissionProbing]);
    assert!(!lockout.locked(&key(1, 2), source(1), at(0)));
    assert_eq!(misuse(&lockout, 19..20, at(0)), [EventKind::Misuse]);
    for n in 0..100 {
        assert!(lockout.locked(&key(1, 3), source(n), at(0)));
    }
    assert!(!lockout.locked(&key(1, 3), source(1), at(15)));
}

#[test]
fn a_thousand_repetitions_of_one_do_nothing() {
    let lockout = lockout();
    for n in 0..1_000 {
        assert_eq!(misuse(&lockout, 0..1, at(n / 100)), []);
    }
    assert!(!lockout.locked(&key(1, 2), source(1), at(10)));
}

#[test]
fn a_revoked_key_counts_by_source() {
    let lockout = lockout();
    let from = |n| lockout.misused(&key(1, 2), Misuse::RevokedKey, source(n), at(0));
    assert!((0..19).chain(0..19).flat_map(from).next().is_none());
    assert_eq!(kinds(&from(19)), [EventKind::Misuse]);
}

#[test]
fn what_follows_a_misuse_is_configured() {
    let by_key = Lockout::new(Settings { on_misuse: OnMisuse::LockKey, ..Settings::default() });
    misuse(&by_key, 0..20, at(0));
    assert!(by_key.locked(&key(1, 2), source(1), at(0)));
    assert!(!by_key.locked(&key(1, 3), source(1), at(0)), "that key alone");

    let alert = Lockout::new(Settings { on_misuse: OnMisuse::Alert, ..Settings::default() });
    assert_eq!(misuse(&alert, 0..20, at(0)), [EventKind::PermissionProbing, EventKind::Misuse]);
    assert!(!alert.locked(&key(1, 2), source(1), at(0)));
}

#[test]
fn refusals_do_not_count_while_a_change_settles() {
    let changes: [fn(&Lockout); 3] = [
        |lockout| lockout.routes_changed(at(0)),
        |lockout| lockout.account_changed(Uuid::from_u128(1), at(0)),
        |lockout| lockout.role_changed("clerk", at(0)),
    ];
    for change in changes {
        let lockout = lockout();
        change(&lockout);
        assert_eq!(misuse(&lockout, 0..100, at(9)), []);
        misuse(&lockout, 0..20, at(10));
        assert!(lockout.locked(&key(1, 2), source(1), at(10)));
    }
    let others = lockout();
    others.role_changed("somebody else's", at(0));
    misuse(&others, 0..20, at(0));
    assert!(others.locked(&key(1, 2), source(1), at(0)));
}

#[test]
fn thresholds_can_be_changed_while_it_runs() {
    let lockout = lockout();
    lockout.reload(Settings { guesses: 3, ..Settings::default() });
    assert_eq!(guess(&lockout, 3, source(1), at(0)), [EventKind::BruteForce]);
}

// ---- habits ----

fn about_the_key(kind: EventKind) -> Finding {
    Finding::new(kind).user(Uuid::from_u128(1)).key(Uuid::from_u128(2))
}

#[test]
fn an_account_with_a_past_that_comes_from_many_new_sources_is_told_of() {
    let lockout = lockout();
    let come = |n, now| lockout.authenticated(&key(1, 2), source(n), now);
    assert_eq!((0..50).flat_map(|n| come(n, at(0))).collect::<Vec<_>>(), [], "it has no past yet");
    let later: Vec<_> = (100..150).flat_map(|n| come(n, at(120))).collect();
    let told = about_the_key(EventKind::ManySources).source(source(109));
    assert_eq!(later, [told.with("new_sources", 10).with("window_seconds", 3600)]);
}

#[test]
fn a_key_that_is_used_far_more_than_before_is_told_of() {
    let lockout = lockout();
    let mut told = Vec::new();
    for minute in 0..30 {
        let requests = if minute == 29 { 3_000 } else { 100 };
        for _ in 0..requests {
            told.extend(lockout.authenticated(&key(1, 2), source(1), at(minute)));
        }
    }
    let [told] = &told[..] else { panic!("{told:?}") };
    let usual = told.evidence["usual_in_a_minute"].as_f64().unwrap();
    assert!((50.0..=100.0).contains(&usual), "{usual}");
    let many = told.evidence["requests_in_a_minute"].as_f64().unwrap();
    assert!((20.0 * 50.0..=20.0 * 100.0).contains(&many), "{many}");
    let finding =
        Finding { evidence: told.evidence.clone(), ..about_the_key(EventKind::SuddenVolume) };
    assert_eq!(*told, finding);
}

// ---- several nodes ----

/// What the store does: it sums up.
fn share(nodes: [&Lockout; 2], now: Timestamp) {
    let mut all = Ledger::default();
    for node in nodes {
        let said = node.take();
        for attempts in said.attempts {
            let same = |a: &&mut Attempts| {
                Attempts { count: 0, ..(*a).clone() } == Attempts { count: 0, ..attempts.clone() }
            };
            match all.attempts.iter_mut().find(same) {
                Some(known) => known.count += attempts.count,
                None => all.attempts.push(attempts),
            }
        }
        all.locks.extend(said.locks);
        all.known.extend(said.known);
    }
    nodes.iter().for_each(|node| drop(node.apply(&all, now)));
}

#[test]
fn attempts_spread_over_two_nodes_add_up() {
    let (one, two) = (lockout(), lockout());
    guess(&one, 5, source(1), at(0));
    guess(&two, 4, source(1), at(0));
    share([&one, &two], at(0));
    assert!(!one.locked(&key(1, 2), source(1), at(0)), "nine");
    assert_eq!(guess(&two, 1, source(1), at(0)), [EventKind::BruteForce], "two knows of five");
    share([&one, &two], at(0));
    assert!(one.locked(&key(1, 2), source(1), at(0)));
    assert!(!one.locked(&key(1, 2), source(2), at(0)));
}

#[test]
fn misuses_and_failures_add_up_too() {
    let (one, two) = (lockout(), lockout());
    misuse(&one, 0..12, at(0));
    misuse(&two, 8..20, at(0));
    fail(&one, 10, source(3), at(0));
    fail(&two, 10, source(3), at(0));
    share([&one, &two], at(0));
    for node in [&one, &two] {
        assert!(node.locked(&key(1, 2), source(9), at(0)));
        assert!(node.blocked(source(3), at(0)).is_some());
    }
}

#[test]
fn a_source_known_to_one_node_is_spared_by_all() {
    let (one, two) = (lockout(), lockout());
    one.authenticated(&key(1, 2), source(1), at(0));
    share([&one, &two], at(0));
    guess(&two, 50, source(1), at(1));
    assert!(!two.locked(&key(1, 2), source(1), at(1)));
}

#[test]
fn what_was_locked_or_forgiven_is_not_counted_again() {
    let (one, two) = (lockout(), lockout());
    guess(&one, 10, source(1), at(0));
    let said = one.take();
    two.apply(&said, at(0));
    assert!(two.locked(&key(1, 2), source(1), at(0)));
    // The lock ends while its attempts are still in the window.
    let quick = Settings { lock_for: Duration::from_secs(60), ..Settings::default() };
    let third = Lockout::new(quick);
    let locks = said.locks.iter().map(|lock| Lock { until: at(1), ..lock.clone() }).collect();
    third.apply(&Ledger { locks, ..said }, at(0));
    assert!(third.locked(&key(1, 2), source(1), at(0)));
    assert_eq!(guess(&third, 9, source(1), at(2)), []);
}

// ---- memory ----

#[test]
fn a_million_sources_are_held_in_bounded_memory_and_end_no_block() {
    let lockout = lockout();
    fail(&lockout, 20, source(0), at(0));
    for n in 1..1_000_000 {
        lockout.failed(source(n), None, at(0));
        if n % 64 == 0 {
            lockout.guessed(&key(1, 2), source(n), at(0));
        }
    }
    assert!(lockout.sources.len() <= SOURCES);
    assert!(lockout.guesses.len() <= GUESSES);
    assert!(lockout.blocked(source(0), at(0)).is_some(), "his own block stays");
    let said = lockout.take();
    assert!(said.attempts.len() <= 2_048, "{}", said.attempts.len());
}
