use gatepost::store::{Change, Receipt, RolePatch, StoreError, Terms};
use jiff::SignedDuration;
use uuid::Uuid;

use super::{Backend, by_command_line, done, new_role};

fn receipt(caller: Uuid, name: &str) -> Receipt {
    Receipt { caller, name: name.into(), request_hash: [7; 32] }
}

fn under(receipt: &Receipt) -> Terms {
    Terms { receipt: Some(receipt.clone()), ..Terms::default() }
}

pub async fn a_change_on_an_old_version_leaves_no_trace(backend: &dyn Backend) {
    let store = backend.store();
    done(store, Change::CreateRole(new_role("clerk", &[]))).await;
    let version = store.role("clerk").await.unwrap().unwrap().updated_at;
    let patch = |text: &str| Change::UpdateRole {
        name: "clerk".into(),
        patch: RolePatch { description: Some(Some(text.into())), ..RolePatch::default() },
    };
    let terms = Terms { versions: Some(vec![version]), receipt: None };
    store.commit_if(patch("first"), &terms, &by_command_line()).await.unwrap();
    let newest = store.newest_change().await.unwrap();
    let error = store.commit_if(patch("second"), &terms, &by_command_line()).await.unwrap_err();
    assert!(matches!(error, StoreError::Stale), "{error}");
    assert_eq!(store.newest_change().await.unwrap(), newest);
    let role = store.role("clerk").await.unwrap().unwrap();
    assert_eq!(role.description.as_deref(), Some("first"));
}

pub async fn a_receipt_makes_a_change_happen_once(backend: &dyn Backend) {
    let store = backend.store();
    let receipt = receipt(Uuid::now_v7(), "once");
    let by = by_command_line();
    let make = |name: &str| Change::CreateRole(new_role(name, &[]));
    store.commit_if(make("clerk"), &under(&receipt), &by).await.unwrap();
    let error = store.commit_if(make("other"), &under(&receipt), &by).await.unwrap_err();
    assert!(matches!(error, StoreError::Repeated), "{error}");
    assert!(store.role("other").await.unwrap().is_none());

    store.keep_answer(&receipt, "first").await.unwrap();
    store.keep_answer(&receipt, "second").await.unwrap();
    let kept = store.receipt(receipt.caller, "once", by.at).await.unwrap().unwrap();
    assert_eq!((kept.subject.as_str(), kept.answer.as_deref()), ("clerk", Some("first")));
    assert_eq!(kept.request_hash, receipt.request_hash);
    assert!(store.receipt(Uuid::now_v7(), "once", by.at).await.unwrap().is_none(), "another's");
}

pub async fn a_receipt_of_a_failed_change_is_forgotten(backend: &dyn Backend) {
    let store = backend.store();
    let receipt = receipt(Uuid::now_v7(), "failed");
    let by = by_command_line();
    let fails = Change::DeleteRole { name: "nobody".into() };
    store.commit_if(fails, &under(&receipt), &by).await.unwrap_err();
    assert!(store.receipt(receipt.caller, "failed", by.at).await.unwrap().is_none());
}

pub async fn receipts_are_bounded_in_time_and_number(backend: &dyn Backend) {
    let store = backend.store();
    let caller = Uuid::now_v7();
    let mut by = by_command_line();
    let touch = || Change::UpdateRole { name: "clerk".into(), patch: RolePatch::default() };
    done(store, Change::CreateRole(new_role("clerk", &[]))).await;
    store.commit_if(touch(), &under(&receipt(caller, "old")), &by).await.unwrap();
    by.at += Receipt::LIFE + SignedDuration::from_secs(1);
    assert!(store.receipt(caller, "old", by.at).await.unwrap().is_none(), "a day has passed");
    for n in 0..Receipt::PER_CALLER + 5 {
        by.at += SignedDuration::from_micros(1);
        store.commit_if(touch(), &under(&receipt(caller, &n.to_string())), &by).await.unwrap();
    }
    let kept = backend.texts("SELECT name FROM idempotency_receipts").await;
    assert_eq!(kept.len() as i64, Receipt::PER_CALLER);
    assert!(!kept.iter().any(|name| name == "old" || name == "4"), "the oldest went");
}
