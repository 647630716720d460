//! Between the meters and the store: leases in, what was used or left over out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::meters::{Meter, Meters};
use super::quota::{Claim, QuotaMeter, Take};
use crate::clock;
use crate::metrics::Metrics;
use crate::store::{QuotaAccount, Store};

/// How often what lies unused is given back, and what is owed is told.
const SWEEP: Duration = Duration::from_secs(10);

/// Accounts of past periods are deleted after so many sweeps: once an hour.
const SWEEPS_TO_FORGET: u32 = 360;

/// Accounts are kept for people to look at for so long after their period.
const REMEMBERED: Duration = Duration::from_secs(62 * 24 * 60 * 60);

/// Accounts that are settled in one transaction.
const SETTLED_TOGETHER: usize = 1_000;

pub struct Keeper {
    store: Arc<dyn Store>,
    /// The store's runtime: a request on another one waits for a task there.
    runtime: Handle,
    metrics: Arc<Metrics>,
    born: Instant,
}

impl Keeper {
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { store, runtime: Handle::current(), metrics, born: Instant::now() })
    }

    /// Nanoseconds of this process's monotonic clock.
    pub fn now(&self) -> u64 {
        self.born.elapsed().as_nanos() as u64
    }

    /// Takes one unit, after asking the store for more. In the store's time, a second at most.
    pub async fn ask(self: &Arc<Self>, meter: &Arc<Meter>, claim: Claim) -> Take {
        let (keeper, meter) = (Arc::clone(self), Arc::clone(meter));
        let asking = self.runtime.spawn(async move {
            let quota = meter.quota();
            let _turn = quota.turn.lock().await;
            // Who was here before may have brought enough for both.
            match quota.take(&claim, keeper.now()) {
                Take::Ask => {}
                answer => return answer,
            }
            keeper.lease(quota, &claim).await;
            quota.take(&claim, keeper.now())
        });
        match asking.await {
            Ok(Take::Ask) | Err(_) => Take::Unknown,
            Ok(answer) => answer,
        }
    }

    /// Asks for the next lease while there is something left of this one.
    pub fn ask_ahead(self: &Arc<Self>, meter: &Arc<Meter>, claim: Claim) {
        let (keeper, meter) = (Arc::clone(self), Arc::clone(meter));
        self.runtime.spawn(async move {
            let quota = meter.quota();
            let _turn = quota.turn.lock().await;
            keeper.lease(quota, &claim).await;
        });
    }

    async fn lease(&self, quota: &QuotaMeter, claim: &Claim) {
        // What passed without a lease counts before more is given out.
        if let Some((account, owed)) = quota.owed()
            && let Err(error) = self.store.settle_quotas(&[(account, owed)]).await
        {
            tracing::debug!(%error, "a quota cannot be settled");
            quota.unsettle(&account, owed);
            return quota.away(claim, self.now());
        }
        let want = claim.lease_size();
        let counted = &self.metrics.limits;
        match self.store.lease_quota(&claim.account, claim.limit, want).await {
            Ok(lease) => {
                let series = if lease.granted > 0 { &counted.granted } else { &counted.exhausted };
                series.inc();
                quota.leased(claim, lease, self.now());
            }
            Err(error) => {
                counted.unavailable.inc();
                tracing::debug!(%error, "a quota cannot be asked for");
                quota.away(claim, self.now());
            }
        }
    }

    /// Sweeps until `stop` resolves, then gives back all that is leased, for at most `patience`.
    pub async fn run(
        &self,
        meters: &Meters,
        stop: impl Future<Output = ()> + Send,
        patience: Duration,
    ) {
        tokio::select! {
            () = self.sweep_for_ever(meters) => {}
            () = stop => {}
        }
        if timeout(patience, self.settle(meters, true)).await.is_err() {
            tracing::warn!("what was leased of quotas could not be given back");
        }
    }

    async fn sweep_for_ever(&self, meters: &Meters) {
        for sweep in 0u32.. {
            if sweep.is_multiple_of(SWEEPS_TO_FORGET) {
                let before = clock::now() - REMEMBERED;
                if let Err(error) = self.store.forget_quotas(before).await {
                    tracing::debug!(%error, "quotas of past periods cannot be deleted");
                }
            }
            sleep(SWEEP).await;
            self.settle(meters, false).await;
        }
    }

    async fn settle(&self, meters: &Meters, everything: bool) {
        let mut owing: Vec<(Arc<Meter>, QuotaAccount, i64)> = Vec::new();
        for meter in meters.with_quota() {
            let owed = meter.quota_if_any().and_then(|quota| quota.settle(everything));
            owing.extend(owed.map(|(account, delta)| (meter, account, delta)));
        }
        for some in owing.chunks(SETTLED_TOGETHER) {
            // A subject that was pushed out and came back has two meters and one account.
            let mut deltas: HashMap<QuotaAccount, i64> = HashMap::new();
            for (_, account, delta) in some {
                *deltas.entry(*account).or_default() += delta;
            }
            let deltas: Vec<_> = deltas.into_iter().collect();
            if let Err(error) = self.store.settle_quotas(&deltas).await {
                tracing::debug!(%error, "quotas cannot be settled");
                for (meter, account, delta) in some {
                    meter.quota().unsettle(account, *delta);
                }
            }
        }
    }
}
