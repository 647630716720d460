use gatepost::key::QuotaPeriod;
use gatepost::store::{QuotaAccount, QuotaHolder, QuotaLease};
use uuid::Uuid;

use super::Backend;

fn account(holder: QuotaHolder, period: QuotaPeriod) -> QuotaAccount {
    let (starts_at, ends_at) = period.around("2026-11-23T12:00:00Z".parse().expect("a time"));
    QuotaAccount { holder, period, starts_at, ends_at }
}

fn someone() -> QuotaAccount {
    account(QuotaHolder::User(Uuid::now_v7()), QuotaPeriod::Day)
}

pub async fn leases_together_never_exceed_the_quota(backend: &dyn Backend) {
    let account = someone();
    let nodes: Vec<_> = (0..8)
        .map(|_| {
            let store = backend.store().clone();
            tokio::spawn(async move {
                let mut granted = 0;
                loop {
                    let lease = store.lease_quota(&account, 100, 7).await.expect("an answer");
                    assert!(lease.granted <= 7 && lease.used <= 100, "{lease:?}");
                    granted += lease.granted;
                    if lease.granted == 0 {
                        return granted;
                    }
                }
            })
        })
        .collect();
    let mut granted = 0;
    for node in nodes {
        granted += node.await.unwrap();
    }
    assert_eq!(granted, 100, "all of it, and no more");
}

pub async fn a_raised_quota_is_leased_at_once(backend: &dyn Backend) {
    let (store, account) = (backend.store(), someone());
    let lease = store.lease_quota(&account, 5, 10).await.unwrap();
    assert_eq!(lease, QuotaLease { granted: 5, used: 5 });
    assert_eq!(store.lease_quota(&account, 5, 10).await.unwrap().granted, 0);
    let lease = store.lease_quota(&account, 1_000, 10).await.unwrap();
    assert_eq!(lease, QuotaLease { granted: 10, used: 15 });
}

pub async fn what_is_given_back_can_be_leased_again(backend: &dyn Backend) {
    let (store, account) = (backend.store(), someone());
    store.lease_quota(&account, 10, 10).await.unwrap();
    store.settle_quotas(&[(account, -4), (someone(), 3)]).await.unwrap();
    let lease = store.lease_quota(&account, 10, 1).await.unwrap();
    assert_eq!(lease, QuotaLease { granted: 1, used: 7 });
}

pub async fn what_passed_without_a_lease_counts(backend: &dyn Backend) {
    let (store, account) = (backend.store(), someone());
    store.settle_quotas(&[(account, 8)]).await.unwrap();
    store.settle_quotas(&[(account, 4)]).await.unwrap();
    assert_eq!(store.lease_quota(&account, 10, 5).await.unwrap().granted, 0);
}

pub async fn periods_and_holders_are_counted_apart(backend: &dyn Backend) {
    let (store, id) = (backend.store(), Uuid::now_v7());
    for holder in [QuotaHolder::User(id), QuotaHolder::Key(id), QuotaHolder::Key(Uuid::now_v7())] {
        for period in [QuotaPeriod::Day, QuotaPeriod::Week, QuotaPeriod::Month] {
            let lease = store.lease_quota(&account(holder, period), 1, 1).await.unwrap();
            assert_eq!(lease.granted, 1, "{holder:?} {period:?}");
        }
    }
}

pub async fn past_periods_are_forgotten(backend: &dyn Backend) {
    let (store, account) = (backend.store(), someone());
    store.lease_quota(&account, 5, 5).await.unwrap();
    store.forget_quotas(account.ends_at).await.unwrap();
    assert_eq!(store.lease_quota(&account, 5, 5).await.unwrap().granted, 0, "not over yet");
    store.forget_quotas(account.ends_at + jiff::SignedDuration::from_secs(1)).await.unwrap();
    assert_eq!(store.lease_quota(&account, 5, 5).await.unwrap().granted, 5);
}
