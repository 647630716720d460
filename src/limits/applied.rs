//! Which limits a request has to stay within.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::gcra::{Level, Pace};
use super::meters::{Meter, Meters, RouteId, Subject, client_network};
use super::quota::Claim;
use super::tiers::Tiers;
use crate::decision::{Admission, LimitName, Standing};
use crate::key::{KeyRecord, Quota, Rate};
use crate::store::QuotaHolder;

pub struct RateLimit {
    pub name: LimitName,
    rate: Rate,
    pub pace: Pace,
    pub subject: Subject,
    pub meter: Arc<Meter>,
}

pub struct QuotaLimit {
    pub name: LimitName,
    pub claim: Claim,
    /// Until the next period.
    pub reset: Duration,
    pub meter: Arc<Meter>,
}

/// The limits of one request: of the owner's tier, of the key, of the route.
#[derive(Default)]
pub struct Applied {
    pub rates: Vec<RateLimit>,
    pub quotas: Vec<QuotaLimit>,
}

impl RateLimit {
    fn new(name: LimitName, rate: Rate, subject: Subject, meter: Arc<Meter>) -> Self {
        Self { name, rate, pace: Pace::of(&rate), subject, meter }
    }

    pub fn standing(&self, level: Level) -> Standing {
        let Rate { count, per, burst } = self.rate;
        // Never more is left than the policy allows: the same rate, told over a longer time.
        let whole = Duration::from_nanos(self.pace.tolerance);
        let (count, window) = if burst > count { (burst, whole) } else { (count, per) };
        Standing {
            limit: self.name,
            count,
            window,
            remaining: level.remaining,
            reset: level.full_in,
        }
    }
}

impl QuotaLimit {
    pub fn standing(&self, remaining: u64) -> Standing {
        let account = &self.claim.account;
        let window = account.ends_at.duration_since(account.starts_at);
        Standing {
            limit: self.name,
            count: self.claim.limit,
            window: window.unsigned_abs(),
            remaining,
            reset: self.reset,
        }
    }
}

impl Applied {
    pub fn find(
        admission: &Admission,
        client: IpAddr,
        now: Timestamp,
        tiers: &Tiers,
        meters: &Meters,
    ) -> Self {
        let mut applied = match admission.key() {
            Some(key) => Self::of_holder(key, now, tiers, meters),
            None => Self::default(),
        };
        applied.add_route(admission, client, meters);
        applied
    }

    /// Those that apply wherever the key is used.
    pub fn of_holder(key: &KeyRecord, now: Timestamp, tiers: &Tiers, meters: &Meters) -> Self {
        let mut applied = Self::default();
        applied.add_tier(key, now, tiers, meters);
        applied.add_own(key, now, meters);
        applied
    }

    pub fn is_empty(&self) -> bool {
        self.rates.is_empty() && self.quotas.is_empty()
    }

    /// One pool over all keys of a user. No tier is no limit.
    fn add_tier(&mut self, key: &KeyRecord, now: Timestamp, tiers: &Tiers, meters: &Meters) {
        let Some(tier) = key.owner.tier.as_deref().and_then(|name| tiers.find(name)) else {
            return;
        };
        if tier.rate.is_none() && tier.quota == Quota::Unlimited {
            return;
        }
        let subject = Subject::User(key.owner.id);
        let meter = meters.get(subject);
        self.add_rate(LimitName::TierRate, tier.rate, subject, &meter);
        let holder = QuotaHolder::User(key.owner.id);
        self.add_quota(LimitName::TierQuota, tier.quota, holder, now, &meter);
    }

    fn add_own(&mut self, key: &KeyRecord, now: Timestamp, meters: &Meters) {
        let quota = key.quota.unwrap_or(Quota::Unlimited);
        if key.rate.is_none() && quota == Quota::Unlimited {
            return;
        }
        let subject = Subject::Key(key.id);
        let meter = meters.get(subject);
        self.add_rate(LimitName::KeyRate, key.rate, subject, &meter);
        self.add_quota(LimitName::KeyQuota, quota, QuotaHolder::Key(key.id), now, &meter);
    }

    /// For each key, or for each client where nobody knows who is calling.
    fn add_route(&mut self, admission: &Admission, client: IpAddr, meters: &Meters) {
        let route = admission.route();
        let Some(rate) = route.options.rate else { return };
        let id = RouteId::of(&route.name);
        let subject = match admission.key() {
            Some(key) => Subject::RouteKey(id, key.id),
            None => Subject::RouteClient(id, client_network(client)),
        };
        self.add_rate(LimitName::RouteRate, Some(rate), subject, &meters.get(subject));
    }

    fn add_rate(
        &mut self,
        name: LimitName,
        rate: Option<Rate>,
        subject: Subject,
        meter: &Arc<Meter>,
    ) {
        let limit = rate.map(|rate| RateLimit::new(name, rate, subject, Arc::clone(meter)));
        self.rates.extend(limit);
    }

    fn add_quota(
        &mut self,
        name: LimitName,
        quota: Quota,
        holder: QuotaHolder,
        now: Timestamp,
        meter: &Arc<Meter>,
    ) {
        let Quota::Limited { count, period } = quota else { return };
        let claim = Claim::new(holder, count, period, now);
        let reset = claim.account.ends_at.duration_since(now).unsigned_abs();
        self.quotas.push(QuotaLimit { name, claim, reset, meter: Arc::clone(meter) });
    }
}
