use jiff::Timestamp;
use uuid::Uuid;

use crate::key::QuotaPeriod;

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaHolder {
    /// Of a tier: all keys of a user together.
    User(Uuid),
    /// A key's own.
    Key(Uuid),
}

/// What is counted together: a holder's requests of one calendar period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuotaAccount {
    pub holder: QuotaHolder,
    pub period: QuotaPeriod,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
}

/// What a node was given of a quota, to use without asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaLease {
    /// Zero: nothing is left.
    pub granted: u64,
    /// What all nodes were given so far, this included.
    pub used: u64,
}

impl QuotaHolder {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            QuotaHolder::User(_) => "user",
            QuotaHolder::Key(_) => "key",
        }
    }

    pub(super) const fn id(&self) -> Uuid {
        match self {
            QuotaHolder::User(id) | QuotaHolder::Key(id) => *id,
        }
    }
}

/// The stores count in signed numbers, and quotas are read to fit.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl QuotaLease {
    /// From the row that a lease touched; no row means that nothing was left.
    pub(super) fn from_row(row: Option<(i64, i64)>, limit: u64) -> Self {
        let Some((granted, used)) = row else { return Self { granted: 0, used: limit } };
        Self { granted: granted.unsigned_abs(), used: used.unsigned_abs() }
    }
}
