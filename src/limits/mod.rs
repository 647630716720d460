//! How much callers may do: rates, calendar quotas, and where they stand.
//!
//! | file | what lives there |
//! |---|---|
//! | [`applied`] | which limits a request has to stay within |
//! | [`tiers`] | which tier a user has |
//! | [`gcra`] | a rate, on one atomic word |
//! | [`quota`] | what this node holds of a quota |
//! | [`meters`] | the state of all limits, in bounded memory |
//! | [`keeper`] | leases of quotas from the store, and what is given back |
//! | [`shared`] | rates that nodes keep together, in Redis |
//!
//! All limits are checked before any is charged. Charging takes from one after the other, each
//! take being atomic, and undoes what it took when one has run out meanwhile: so no limit is ever
//! exceeded, and a refused request costs nothing. What a race at the very edge can do is to refuse
//! a request for whose place another one, refused too, had just reached.

mod applied;
mod gcra;
mod keeper;
mod meters;
mod quota;
mod shared;
mod tiers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use self::applied::{Applied, QuotaLimit, RateLimit};
use self::gcra::TooEarly;
use self::keeper::Keeper;
use self::meters::Meters;
use self::quota::Take;
use self::shared::{Answer, SharedRates};
use self::tiers::Tiers;
use crate::config::LimitSettings;
use crate::decision::{Admission, Denial, Standing, Verdict};
use crate::key::KeyRecord;
use crate::metrics::Metrics;
use crate::store::Store;

/// When the store is away and nothing more may pass without it: worth a retry soon.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
#[error("the limits' backend cannot be used: {0}")]
pub struct BackendError(String);

/// Holds callers to their limits.
pub struct Limits {
    tiers: ArcSwap<Tiers>,
    meters: Meters,
    keeper: Arc<Keeper>,
    shared: Option<SharedRates>,
}

/// A limit that does not let a request pass.
struct Excess {
    denial: Denial,
    wait: Duration,
    standing: Standing,
}

impl Limits {
    /// Must be called on the runtime that does the store's work: quotas are leased there.
    ///
    /// # Errors
    /// The backend's address is wrong.
    pub fn new(
        store: Arc<dyn Store>,
        settings: &LimitSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, BackendError> {
        let shared = settings.backend.as_ref();
        let shared = shared
            .map(|backend| SharedRates::new(backend, Arc::clone(&metrics)))
            .transpose()
            .map_err(|error| BackendError(error.to_string()))?;
        let (kept, evicted) = (metrics.limits.kept.clone(), metrics.limits.evicted.clone());
        Ok(Arc::new(Self {
            tiers: ArcSwap::from_pointee(Tiers::new(settings)),
            meters: Meters::new(settings.max_limiters, kept, evicted),
            keeper: Keeper::new(store, metrics),
            shared,
        }))
    }

    /// Takes over the tiers of a new configuration. What was used stays used.
    pub fn reconfigure(&self, settings: &LimitSettings) {
        self.tiers.store(Arc::new(Tiers::new(settings)));
    }

    /// The tiers that users can be given, by name.
    pub fn tier_names(&self) -> Vec<Box<str>> {
        self.tiers.load().names()
    }

    /// Where the holder of `key` stands with their own limits, as far as this node knows.
    pub fn standings(&self, key: &KeyRecord, now: Timestamp) -> Vec<Standing> {
        let applied = Applied::of_holder(key, now, &self.tiers.load(), &self.meters);
        let ticks = self.keeper.now();
        let rates =
            applied.rates.iter().map(|rate| rate.standing(rate.meter.rate.level(rate.pace, ticks)));
        let quotas = applied
            .quotas
            .iter()
            .map(|quota| quota.standing(quota.meter.quota().remaining(&quota.claim)));
        rates.chain(quotas).collect()
    }

    /// Keeps the store up to date until `stop` resolves, then gives back all that is leased.
    pub async fn keep(&self, stop: impl Future<Output = ()> + Send, patience: Duration) {
        self.keeper.run(&self.meters, stop, patience).await;
    }

    /// Step 8: charges the request to every limit that applies, or refuses it.
    ///
    /// Waits only where a quota has to be leased or rates are shared.
    pub async fn admit(&self, admission: Admission, client: IpAddr, now: Timestamp) -> Verdict {
        let applied = Applied::find(&admission, client, now, &self.tiers.load(), &self.meters);
        if applied.is_empty() {
            return Ok(admission);
        }
        match self.charge(&applied, &admission.route().name).await {
            Ok(standing) => Ok(admission.within(standing)),
            Err(excess) => Err(admission.exceed(excess.denial, excess.wait, excess.standing)),
        }
    }

    async fn charge(&self, applied: &Applied, route: &str) -> Result<Option<Standing>, Excess> {
        check(applied, self.keeper.now())?;
        let mut reservation = Reservation::new(applied);
        for quota in &applied.quotas {
            let standing = self.take_quota(quota).await?;
            reservation.quotas += 1;
            reservation.see(standing);
        }
        self.take_rates(&mut reservation, route).await?;
        Ok(reservation.keep())
    }

    async fn take_quota(&self, quota: &QuotaLimit) -> Result<Standing, Excess> {
        let take = match quota.meter.quota().take(&quota.claim, self.keeper.now()) {
            Take::Ask => self.keeper.ask(&quota.meter, quota.claim).await,
            Take::Taken { low: true, remaining } => {
                self.keeper.ask_ahead(&quota.meter, quota.claim);
                Take::Taken { low: true, remaining }
            }
            take => take,
        };
        match take {
            Take::Taken { remaining, .. } => Ok(quota.standing(remaining)),
            refused => Err(Excess::of_quota(quota, refused)),
        }
    }

    async fn take_rates(&self, taken: &mut Reservation<'_>, route: &str) -> Result<(), Excess> {
        let applied = taken.applied;
        let (rates, now) = (&applied.rates, self.keeper.now());
        let shared = self.shared.as_ref().filter(|_| !rates.is_empty());
        let answer = match shared {
            Some(shared) => shared.take(rates, route, now).await,
            None => None,
        };
        match answer {
            Some(Answer::Taken(aheads)) => {
                for (rate, ahead) in rates.iter().zip(aheads) {
                    // What goes on alone goes on from here.
                    rate.meter.rate.mirror(rate.pace, now, ahead);
                    taken.see(rate.standing(rate.pace.level(ahead)));
                }
                Ok(())
            }
            Some(Answer::Refused(index, early)) => match rates.get(index) {
                Some(rate) => Err(Excess::of_rate(rate, early)),
                None => Ok(()),
            },
            None => take_locally(taken, now),
        }
    }
}

fn take_locally(taken: &mut Reservation<'_>, now: u64) -> Result<(), Excess> {
    let applied = taken.applied;
    for rate in &applied.rates {
        let level = rate.meter.rate.take(rate.pace, now);
        let level = level.map_err(|early| Excess::of_rate(rate, early))?;
        taken.rates += 1;
        taken.see(rate.standing(level));
    }
    Ok(())
}

/// Whether all limits would let a request pass; if several do not, the one that takes longest
/// tells when to come back.
fn check(applied: &Applied, now: u64) -> Result<(), Excess> {
    let rates = applied.rates.iter().filter_map(|rate| {
        let early = rate.meter.rate.check(rate.pace, now).err()?;
        Some(Excess::of_rate(rate, early))
    });
    let quotas = applied.quotas.iter().filter_map(|quota| {
        match quota.meter.quota().check(&quota.claim, now) {
            Take::Taken { .. } | Take::Ask => None,
            refused => Some(Excess::of_quota(quota, refused)),
        }
    });
    rates.chain(quotas).max_by_key(|excess| excess.wait).map_or(Ok(()), Err)
}

impl Excess {
    fn of_rate(rate: &RateLimit, TooEarly(wait): TooEarly) -> Self {
        let mut standing = rate.standing(rate.pace.level(rate.pace.tolerance));
        standing.reset = standing.reset.max(wait);
        Self { denial: Denial::RateLimited, wait, standing }
    }

    fn of_quota(quota: &QuotaLimit, refused: Take) -> Self {
        let wait = if refused == Take::Unknown { RETRY_AFTER } else { quota.reset };
        Self { denial: Denial::QuotaExceeded, wait, standing: quota.standing(0) }
    }
}

/// What was taken so far. It is given back unless all of it is kept: when a limit has run out, or
/// when the client leaves while the store or the backend is asked.
struct Reservation<'a> {
    applied: &'a Applied,
    quotas: usize,
    rates: usize,
    tightest: Option<Standing>,
}

impl<'a> Reservation<'a> {
    fn new(applied: &'a Applied) -> Self {
        Self { applied, quotas: 0, rates: 0, tightest: None }
    }

    fn see(&mut self, standing: Standing) {
        self.tightest = Some(self.tightest.map_or(standing, |other| other.tighter(standing)));
    }

    fn keep(mut self) -> Option<Standing> {
        (self.quotas, self.rates) = (0, 0);
        self.tightest
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        for quota in &self.applied.quotas[..self.quotas] {
            quota.meter.quota().give_back(&quota.claim);
        }
        for rate in &self.applied.rates[..self.rates] {
            rate.meter.rate.give_back(rate.pace);
        }
    }
}
