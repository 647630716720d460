use std::sync::Arc;

use gatepost::store::{
    Actor, AuditFilter, AuditRow, Break, Change, KeyPatch, Order, PageRequest, Store, StoreError,
};
use serde_json::json;

use super::{
    Backend, OTHER_SECRET, Secrets, a_key, a_user, by_command_line, commit, done, first_page,
    new_role, refused,
};
use crate::support::{chain_keys, gateway::SECRET_KEY, keys_of};

/// Three roles: rows 1 to 3.
async fn three_rows(backend: &dyn Backend) {
    for name in ["one", "two", "three"] {
        done(backend.store(), Change::CreateRole(new_role(name, &["orders:read"]))).await;
    }
}

async fn log(store: &Arc<dyn Store>) -> Vec<AuditRow> {
    let page = store.audit(&AuditFilter::default(), Order::OldestFirst, &first_page(200)).await;
    page.expect("the log").rows
}

async fn walk(store: &Arc<dyn Store>, secrets: Secrets) -> Result<(), Break> {
    let keys = secrets.keys();
    let origin = store.chain_origin().await.expect("an origin");
    let mut chain = keys.begin(&origin).expect("it is our store");
    let rows = log(store).await;
    rows.iter().filter(|row| row.seq > origin.after).try_for_each(|row| chain.follow(row))
}

const OURS: Secrets = Secrets { current: SECRET_KEY, previous: None };

pub async fn a_chain_as_it_was_written_holds(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    let by = Actor {
        user_id: Some(key.user_id),
        key_id: Some(key.id),
        ip: Some("::1.2.3.4".parse().unwrap()),
        request_id: Some(key.id),
        at: "2026-11-05T06:07:08.090807Z".parse().unwrap(),
    };
    store.commit(Change::RevokeKey { id: key.id }, &by).await.unwrap();
    assert_eq!(walk(store, OURS).await, Ok(()));
    let rows = log(store).await;
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2].entry.actor_ip.as_deref(), by.ip.map(|ip| ip.to_string()).as_deref());
    let head = store.chain_head().await.unwrap().unwrap();
    assert_eq!((head.seq, head.mac), (3, rows[2].mac));
}

pub async fn a_changed_row_breaks_the_chain(backend: &dyn Backend) {
    let store = backend.store();
    three_rows(backend).await;
    for change in [
        "action = 'delete_role'",
        "actor_ip = '10.0.0.1'",
        "subject_id = 'other'",
        "after = NULL",
        "mac = (SELECT mac FROM audit_log WHERE seq = 1)",
    ] {
        // A copy, so that each is tried on what was written.
        backend.execute("CREATE TABLE kept AS SELECT * FROM audit_log WHERE seq = 2").await;
        backend.execute(&format!("UPDATE audit_log SET {change} WHERE seq = 2")).await;
        assert_eq!(walk(store, OURS).await, Err(Break::Changed { seq: 2 }), "{change}");
        backend.execute("DELETE FROM audit_log WHERE seq = 2").await;
        backend.execute("INSERT INTO audit_log SELECT * FROM kept").await;
        backend.execute("DROP TABLE kept").await;
    }
    assert_eq!(walk(store, OURS).await, Ok(()), "as it was written");
}

pub async fn a_removed_row_breaks_the_chain(backend: &dyn Backend) {
    three_rows(backend).await;
    backend.execute("DELETE FROM audit_log WHERE seq = 2").await;
    assert_eq!(walk(backend.store(), OURS).await, Err(Break::Missing { seq: 2 }));
    backend.execute("UPDATE audit_log SET seq = 2 WHERE seq = 3").await;
    assert_eq!(walk(backend.store(), OURS).await, Err(Break::Changed { seq: 2 }));
}

pub async fn rows_that_change_places_break_the_chain(backend: &dyn Backend) {
    three_rows(backend).await;
    for (from, to) in [(2, 9), (3, 2), (9, 3)] {
        backend.execute(&format!("UPDATE audit_log SET seq = {to} WHERE seq = {from}")).await;
    }
    assert_eq!(walk(backend.store(), OURS).await, Err(Break::Changed { seq: 2 }));
}

/// A database that rewrites JSON would print these in another way than we do.
pub async fn odd_numbers_in_metadata_do_not_break_the_chain(backend: &dyn Backend) {
    let store = backend.store();
    let key = a_key(store).await;
    let odd = json!({"b": 1.7976931348623157e300, "a": 1e-300, "é": 1.10, "c": -0.0});
    let patch = KeyPatch { metadata: Some(Some(odd)), ..KeyPatch::default() };
    done(store, Change::UpdateKey { id: key.id, patch }).await;
    assert_eq!(walk(store, OURS).await, Ok(()));
}

pub async fn the_log_is_filtered_and_paged_from_both_ends(backend: &dyn Backend) {
    let store = backend.store();
    three_rows(backend).await;
    let ada = a_user(store, "ada@example.com").await;
    let by = Actor { user_id: Some(ada.id), ..by_command_line() };
    store.commit(Change::DeleteRole { name: "two".into() }, &by).await.unwrap();

    let all = AuditFilter::default();
    let seqs = async |filter: &AuditFilter, order| {
        let mut seqs = Vec::new();
        let mut after = None;
        loop {
            let page = store.audit(filter, order, &PageRequest { limit: 2, after }).await.unwrap();
            assert!(page.rows.len() <= 2);
            seqs.extend(page.rows.iter().map(|row| row.seq));
            after = page.next;
            if after.is_none() {
                return seqs;
            }
        }
    };
    assert_eq!(seqs(&all, Order::OldestFirst).await, [1, 2, 3, 4, 5]);
    assert_eq!(seqs(&all, Order::NewestFirst).await, [5, 4, 3, 2, 1]);

    let found = async |filter: AuditFilter| seqs(&filter, Order::OldestFirst).await;
    let action = Some("create_role".into());
    assert_eq!(found(AuditFilter { action, ..all.clone() }).await, [1, 2, 3]);
    let actor_user_id = Some(ada.id);
    assert_eq!(found(AuditFilter { actor_user_id, ..all.clone() }).await, [5]);
    let subject_kind = Some("user".into());
    assert_eq!(found(AuditFilter { subject_kind, ..all.clone() }).await, [4]);
    let subject_id = Some("two".into());
    assert_eq!(found(AuditFilter { subject_id, ..all.clone() }).await, [2, 5]);
    let third = log(store).await[2].entry.at;
    assert!(!found(AuditFilter { to: Some(third), ..all.clone() }).await.contains(&3));
    assert!(found(AuditFilter { from: Some(third), ..all }).await.contains(&3));
}

pub async fn rows_older_than_the_chain_are_left_alone(backend: &dyn Backend) {
    three_rows(backend).await;
    backend.execute("UPDATE instance SET audit_chain_after = 3").await;
    done(backend.store(), Change::DeleteRole { name: "one".into() }).await;
    assert_eq!(walk(backend.store(), OURS).await, Ok(()));
    backend.execute("UPDATE instance SET audit_chain_after = 2").await;
    assert_eq!(
        walk(backend.store(), OURS).await,
        Err(Break::Changed { seq: 3 }),
        "the beginning cannot be moved"
    );
}

const BOTH: Secrets = Secrets { current: OTHER_SECRET, previous: Some(SECRET_KEY) };
const NEW: Secrets = Secrets { current: OTHER_SECRET, previous: None };

pub async fn a_rotation_takes_the_chain_along(backend: &dyn Backend) {
    three_rows(backend).await;
    let before = backend.store().chain_head().await.unwrap().unwrap();
    let rotating = backend.open_with(BOTH);
    let head = rotating.rotate_secret(&by_command_line()).await.unwrap();
    assert_eq!(head.seq, 4);
    assert_eq!(walk(&rotating, NEW).await, Ok(()));
    let rows = log(&rotating).await;
    assert_eq!(rows[3].entry.action, "rotate_secret");
    assert!(rows[3].entry.before.as_ref().unwrap().contains(&before.mac.to_string()));
    assert!(keys_of(SECRET_KEY, None).begin(&rotating.chain_origin().await.unwrap()).is_err());

    let error = rotating.rotate_secret(&by_command_line()).await.unwrap_err();
    assert!(matches!(error, StoreError::Protected(_)), "{error}");
}

pub async fn a_rotation_of_a_broken_chain_is_refused(backend: &dyn Backend) {
    three_rows(backend).await;
    backend.execute("UPDATE audit_log SET subject_id = 'x' WHERE seq = 2").await;
    let error = backend.open_with(BOTH).rotate_secret(&by_command_line()).await.unwrap_err();
    assert!(error.to_string().contains("row 2 was changed"), "{error}");
    assert_eq!(walk(backend.store(), OURS).await, Err(Break::Changed { seq: 2 }), "untouched");
    done(backend.store(), Change::DeleteRole { name: "one".into() }).await;
}

pub async fn a_node_with_another_secret_changes_nothing(backend: &dyn Backend) {
    three_rows(backend).await;
    let stranger = backend.open_with(NEW);
    let error = refused(&stranger, Change::DeleteRole { name: "one".into() }).await;
    assert!(matches!(error, StoreError::Incompatible(_)), "{error}");
    assert!(backend.store().role("one").await.unwrap().is_some());
    assert_eq!(log(backend.store()).await.len(), 3);
}

pub async fn nodes_with_both_secrets_go_on_through_a_rotation(backend: &dyn Backend) {
    let old = backend.store();
    let node = backend.open_with(BOTH);
    done(old, Change::CreateRole(new_role("by-old", &[]))).await;
    done(&node, Change::CreateRole(new_role("by-both", &[]))).await;
    assert_eq!(walk(&node, BOTH).await, Ok(()), "both write the old chain until somebody rotates");
    assert!(chain_keys().begin(&node.chain_origin().await.unwrap()).is_ok());

    backend.open_with(BOTH).rotate_secret(&by_command_line()).await.unwrap();
    done(&node, Change::CreateRole(new_role("after", &[]))).await;
    let error = commit(old, Change::CreateRole(new_role("by-old-again", &[]))).await.unwrap_err();
    assert!(matches!(error, StoreError::Incompatible(_)), "{error}");
    assert_eq!(walk(&node, NEW).await, Ok(()));
}
