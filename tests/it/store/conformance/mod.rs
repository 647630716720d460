//! What the contract promises, each promise a case, run on every store.

pub mod audit;
pub mod bounds;
pub mod feed;
pub mod keys;
pub mod nodes;
pub mod quotas;
pub mod roles;
pub mod security;
pub mod terms;
pub mod usage;
pub mod users;

use std::sync::Arc;

use async_trait::async_trait;
use gatepost::key::{Environment, IdKey, KeyRecord, MintedKey, Pattern};
use gatepost::store::{
    Actor, ChainKeys, Change, Committed, NewKey, NewRole, NewUser, PageRequest, Store, StoreError,
};
use uuid::Uuid;

use crate::support::keys_of;

/// A store, and a way past it.
#[async_trait]
pub trait Backend: Send + Sync {
    fn store(&self) -> &Arc<dyn Store>;

    /// Opens it once more, as a process with these secrets does.
    fn open_with(&self, secrets: Secrets) -> Arc<dyn Store>;

    /// Runs SQL that both dialects understand.
    async fn execute(&self, sql: &str);

    /// The first column of what such SQL finds.
    async fn texts(&self, sql: &str) -> Vec<String>;
}

/// What is no node's secret, or the next one.
pub const OTHER_SECRET: &str = "c41d7a90be5f2683e70419fd8ab6c25d3e1f70948b6a5c2d";

/// The `SECRET_KEY` of a process, and the one before it.
pub struct Secrets {
    pub current: &'static str,
    pub previous: Option<&'static str>,
}

impl Secrets {
    pub fn keys(&self) -> ChainKeys {
        keys_of(self.current, self.previous)
    }
}

/// Makes a test of each promise, on the stores that `$open` opens.
macro_rules! conformance {
    ($open:ident) => {
        conformance! { $open;
            audit: a_chain_as_it_was_written_holds, a_changed_row_breaks_the_chain,
                a_removed_row_breaks_the_chain, rows_that_change_places_break_the_chain,
                odd_numbers_in_metadata_do_not_break_the_chain,
                the_log_is_filtered_and_paged_from_both_ends,
                rows_older_than_the_chain_are_left_alone,
                a_rotation_takes_the_chain_along, a_rotation_of_a_broken_chain_is_refused,
                a_node_with_another_secret_changes_nothing,
                nodes_with_both_secrets_go_on_through_a_rotation;
            bounds: instance_is_constant, the_secret_is_claimed_once, micros_survive,
                pages_are_stable_under_inserts, every_row_is_on_one_page,
                names_of_any_script_survive, names_that_look_like_sql_are_names,
                what_does_not_fit_is_refused_with_the_reason, nul_is_refused;
            feed: every_change_is_in_the_feed_with_its_subject,
                feed_is_gapless_and_in_commit_order, a_rolled_back_change_leaves_no_trace,
                revoke_and_audit_are_one, audit_tells_who_what_before_and_after,
                audit_holds_no_digest, a_change_wakes_who_waits;
            keys: a_key_is_loaded_with_its_owner_and_roles, an_unknown_key_is_none,
                a_key_patch_changes_what_it_names, revoked_is_sticky,
                a_revoked_key_cannot_be_changed, an_overlap_ends_the_old_key_but_never_later,
                without_overlap_the_old_key_is_revoked, rotating_does_not_enable,
                imported_keys_are_found_by_digest, ids_and_digests_are_unique,
                keys_are_filtered, a_key_needs_a_living_owner;
            nodes: a_node_is_live_until_it_leaves, a_node_is_as_far_as_it_said_last;
            quotas: leases_together_never_exceed_the_quota, a_raised_quota_is_leased_at_once,
                what_is_given_back_can_be_leased_again, what_passed_without_a_lease_counts,
                periods_and_holders_are_counted_apart, past_periods_are_forgotten;
            roles: a_role_changes_what_its_holders_keys_may_do,
                a_deleted_role_is_taken_from_its_holders, built_in_is_protected,
                role_and_permission_names_are_unique, unknown_roles_are_named;
            security: what_nodes_count_adds_up, only_what_is_new_is_told, the_first_lock_stays,
                a_lift_ends_a_lock_and_forgets_what_led_to_it,
                an_unlock_forgets_an_accounts_attempts, a_known_source_is_as_new_as_the_newest,
                an_event_is_kept_once_and_numbered, changes_of_roles_tell_whom_they_are_about,
                what_is_old_is_forgotten;
            terms: a_change_on_an_old_version_leaves_no_trace, a_receipt_makes_a_change_happen_once,
                a_receipt_of_a_failed_change_is_forgotten, receipts_are_bounded_in_time_and_number;
            usage: usage_batch_twice_counts_once, batches_from_many_nodes_all_count,
                usage_notes_the_last_use, usage_keeps_what_it_was_given,
                usage_is_counted_by_the_minute_once, records_are_found_newest_first,
                old_usage_is_forgotten_and_counts_later,
                misdated_usage_keeps_nothing_from_being_forgotten,
                what_is_forgotten_goes_in_portions;
            users: a_new_user_is_found, emails_are_unique_whatever_their_case,
                a_patch_changes_what_it_names, a_deleted_user_loses_keys_and_frees_the_email,
                a_lock_is_seen_by_loads_until_the_unlock, the_last_admin_stays,
                an_admin_can_go_when_there_is_another, bootstrap_happens_once_unless_again,
                unknown_users_are_not_found, users_are_filtered;
        }
    };
    ($open:ident; $($group:ident: $($case:ident),+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                conformance::$group::$case(&$open().await).await;
            }
        )+)+
    };
}

pub fn by_command_line() -> Actor {
    Actor { user_id: None, key_id: None, ip: None, request_id: None, at: gatepost::clock::now() }
}

pub async fn commit(store: &Arc<dyn Store>, change: Change) -> Result<Committed, StoreError> {
    store.commit(change, &by_command_line()).await
}

/// Makes a change that must succeed.
pub async fn done(store: &Arc<dyn Store>, change: Change) -> Committed {
    commit(store, change).await.expect("the change is committed")
}

/// Tries a change that must not.
pub async fn refused(store: &Arc<dyn Store>, change: Change) -> StoreError {
    commit(store, change).await.expect_err("the change is refused")
}

pub fn new_user(email: &str) -> NewUser {
    NewUser {
        id: Uuid::now_v7(),
        email: email.into(),
        display_name: None,
        tier: None,
        roles: Vec::new(),
    }
}

pub fn new_role(name: &str, permissions: &[&str]) -> NewRole {
    NewRole { name: name.into(), description: None, permissions: patterns(permissions) }
}

pub fn new_key(user_id: Uuid) -> NewKey {
    let minted = MintedKey::new(&Environment::default(), &IdKey::from_bytes([7; 32]))
        .expect("the system has randomness");
    NewKey {
        id: Uuid::now_v7(),
        user_id,
        lookup_id: Some(minted.lookup_id),
        digest: minted.digest,
        name: "laptop".into(),
        permissions: Vec::new(),
        environment: Environment::default(),
        allowed_ips: Vec::new(),
        rate: None,
        quota: None,
        expires_at: None,
        metadata: None,
        rotated_from: None,
    }
}

pub fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(text).expect("a pattern")).collect()
}

/// A user who is there.
pub async fn a_user(store: &Arc<dyn Store>, email: &str) -> NewUser {
    let user = new_user(email);
    done(store, Change::CreateUser(user.clone())).await;
    user
}

/// A key, and its owner, who are there.
pub async fn a_key(store: &Arc<dyn Store>) -> NewKey {
    let user = a_user(store, "ada@example.com").await;
    let key = new_key(user.id);
    done(store, Change::CreateKey(key.clone())).await;
    key
}

pub async fn load(store: &Arc<dyn Store>, key: &NewKey) -> KeyRecord {
    let id = key.lookup_id.expect("a key that was minted here");
    store.load_key(&id).await.expect("an answer").expect("the key is there")
}

pub fn first_page(limit: usize) -> PageRequest {
    PageRequest { limit, after: None }
}
