//! A store that only knows how to load keys, at once: what is measured is in front of it.

use std::collections::HashMap;
use std::future::pending;

use async_trait::async_trait;
use gatepost::key::{
    Digest, Environment, IdKey, KeyRecord, LookupId, MintedKey, Owner, Pattern, Permission,
};
use gatepost::lockout::{Ledger, Lock, Recent, SecurityEvent};
use gatepost::store::{
    Actor, AttemptFilter, AuditFilter, AuditRow, ChainHead, ChainOrigin, Change, Committed,
    EventFilter, EventOrder, EventRow, FailedAttempts, FeedEntry, GroupSums, Grouping, Instance,
    KeptReceipt, KeyCounts, KeyFilter, KeyRow, LockoutFilter, LockoutRow, NodeRow, Order, Page,
    PageRequest, PermissionRow, QuotaAccount, QuotaLease, Receipt, Retention, RoleChanges, RoleRow,
    Rollup, RollupFilter, RollupKey, SecurityStore, Store, StoreError, Terms, UsageBatch,
    UsageFilter, UsagePage, UserFilter, UserRow,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::stand::TIER;

pub struct MemoryStore {
    id_key: IdKey,
    keys: HashMap<LookupId, Digest>,
    granted: Pattern,
}

impl MemoryStore {
    /// A store with `count` keys that may do what `granted` says, and the keys.
    pub fn with_keys(count: usize, granted: &Pattern) -> (Self, Vec<MintedKey>) {
        let id_key = IdKey::from_bytes([7; 32]);
        let mint = || MintedKey::new(&Environment::default(), &id_key).expect("randomness");
        let minted: Vec<MintedKey> = (0..count).map(|_| mint()).collect();
        let keys = minted.iter().map(|key| (key.lookup_id, key.digest)).collect();
        (Self { id_key, keys, granted: granted.clone() }, minted)
    }

    /// A record of ordinary size, with an owner of its own.
    fn record(&self, lookup_id: LookupId, digest: Digest) -> KeyRecord {
        let grants = [self.granted.clone()];
        KeyRecord {
            id: Uuid::now_v7(),
            lookup_id: Some(lookup_id),
            digest,
            name: "billing service, production".into(),
            environment: Environment::default(),
            permissions: grants.iter().cloned().collect(),
            allowed_ips: Box::default(),
            expires_at: None,
            disabled: false,
            revoked_at: None,
            rate: None,
            quota: None,
            owner: Owner {
                id: Uuid::now_v7(),
                email: "billing@example.com".into(),
                tier: Some(TIER.into()),
                lock: None,
                disabled: false,
                roles: ["developer".into()].into(),
                grants: grants.into_iter().collect(),
            },
        }
    }
}

fn not_here<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("no decision asks for this".to_owned()))
}

#[async_trait]
impl Store for MemoryStore {
    async fn instance(&self) -> Result<Instance, StoreError> {
        Ok(Instance { id: Uuid::nil(), id_key: self.id_key.clone(), secret_fingerprint: None })
    }

    async fn load_key(&self, id: &LookupId) -> Result<Option<KeyRecord>, StoreError> {
        Ok(self.keys.get(id).map(|digest| self.record(*id, *digest)))
    }

    async fn load_imported(&self, _: &Digest) -> Result<Option<KeyRecord>, StoreError> {
        Ok(None)
    }

    async fn imported_digests(&self) -> Result<Vec<Digest>, StoreError> {
        Ok(Vec::new())
    }

    async fn changes_after(&self, _: u64, _: usize) -> Result<Vec<FeedEntry>, StoreError> {
        Ok(Vec::new())
    }

    async fn newest_change(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn wait_for_change(&self) {
        pending().await
    }

    async fn record_usage(&self, _: &UsageBatch) -> Result<(), StoreError> {
        Ok(())
    }

    async fn lease_quota(
        &self,
        _: &QuotaAccount,
        _: u64,
        want: u64,
    ) -> Result<QuotaLease, StoreError> {
        Ok(QuotaLease { granted: want, used: want })
    }

    async fn settle_quotas(&self, _: &[(QuotaAccount, i64)]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn forget_quotas(&self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn claim_secret(&self) -> Result<(), StoreError> {
        not_here()
    }

    async fn rotate_secret(&self, _: &Actor) -> Result<ChainHead, StoreError> {
        not_here()
    }

    async fn chain_origin(&self) -> Result<ChainOrigin, StoreError> {
        not_here()
    }

    async fn chain_head(&self) -> Result<Option<ChainHead>, StoreError> {
        not_here()
    }

    async fn audit(
        &self,
        _: &AuditFilter,
        _: Order,
        _: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        not_here()
    }

    async fn commit_if(&self, _: Change, _: &Terms, _: &Actor) -> Result<Committed, StoreError> {
        not_here()
    }

    async fn receipt(
        &self,
        _: Uuid,
        _: &str,
        _: Timestamp,
    ) -> Result<Option<KeptReceipt>, StoreError> {
        not_here()
    }

    async fn keep_answer(&self, _: &Receipt, _: &str) -> Result<(), StoreError> {
        not_here()
    }

    async fn usage_records(
        &self,
        _: &UsageFilter,
        _: Option<i64>,
        _: usize,
    ) -> Result<UsagePage, StoreError> {
        not_here()
    }

    async fn usage_sums(
        &self,
        _: &RollupFilter,
        _: Grouping,
    ) -> Result<Vec<GroupSums>, StoreError> {
        not_here()
    }

    async fn usage_rollups(
        &self,
        _: &RollupFilter,
        _: Option<&RollupKey>,
        _: usize,
    ) -> Result<Vec<Rollup>, StoreError> {
        not_here()
    }

    async fn keep_usage(&self, _: &Retention) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn user(&self, _: Uuid) -> Result<Option<UserRow>, StoreError> {
        not_here()
    }

    async fn users(&self, _: &UserFilter, _: &PageRequest) -> Result<Page<UserRow>, StoreError> {
        not_here()
    }

    async fn role(&self, _: &str) -> Result<Option<RoleRow>, StoreError> {
        not_here()
    }

    async fn roles(&self, _: &PageRequest) -> Result<Page<RoleRow>, StoreError> {
        not_here()
    }

    async fn permission(&self, _: &Permission) -> Result<Option<PermissionRow>, StoreError> {
        not_here()
    }

    async fn permissions(&self, _: &PageRequest) -> Result<Page<PermissionRow>, StoreError> {
        not_here()
    }

    async fn key(&self, _: Uuid) -> Result<Option<KeyRow>, StoreError> {
        not_here()
    }

    async fn keys(&self, _: &KeyFilter, _: &PageRequest) -> Result<Page<KeyRow>, StoreError> {
        not_here()
    }

    async fn key_counts(&self, _: Timestamp) -> Result<KeyCounts, StoreError> {
        not_here()
    }

    async fn tiers_in_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        not_here()
    }

    async fn report_node(&self, _: &str, _: u64) -> Result<(), StoreError> {
        not_here()
    }

    async fn forget_node(&self, _: &str) -> Result<(), StoreError> {
        not_here()
    }

    async fn live_nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        not_here()
    }

    async fn has_admin(&self) -> Result<bool, StoreError> {
        not_here()
    }

    async fn usage_count(&self) -> Result<u64, StoreError> {
        not_here()
    }
}

#[async_trait]
impl SecurityStore for MemoryStore {
    async fn exchange(&self, _: &Ledger, _: Recent) -> Result<Ledger, StoreError> {
        not_here()
    }

    async fn lockouts(
        &self,
        _: &LockoutFilter,
        _: Timestamp,
        _: &PageRequest,
    ) -> Result<Page<LockoutRow>, StoreError> {
        not_here()
    }

    async fn lift(&self, _: Uuid, _: &Actor) -> Result<Lock, StoreError> {
        not_here()
    }

    async fn failed_attempts(&self, _: &AttemptFilter) -> Result<Vec<FailedAttempts>, StoreError> {
        not_here()
    }

    async fn record_events(&self, _: &[SecurityEvent]) -> Result<Vec<Uuid>, StoreError> {
        not_here()
    }

    async fn events(
        &self,
        _: &EventFilter,
        _: EventOrder,
        _: &PageRequest,
    ) -> Result<Page<EventRow>, StoreError> {
        not_here()
    }

    async fn role_changes(&self, _: Option<u64>) -> Result<RoleChanges, StoreError> {
        not_here()
    }

    async fn forget_security(&self, _: Timestamp, _: Timestamp) -> Result<(), StoreError> {
        not_here()
    }
}
