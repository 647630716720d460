//! Quotas, handed out a lease at a time.

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use super::values::{Id, Micros, one, run};
use crate::store::quota::signed;
use crate::store::{QuotaAccount, QuotaLease, StoreError};

/// Towards the end leases shrink, as on the store that has many nodes.
const LEASE: &str = "
    INSERT INTO quota_usage AS q
           (holder_kind, holder_id, period, starts_at, ends_at, used, last_delta)
    VALUES (?1, ?2, ?3, ?4, ?5, min(?6, ?7), min(?6, ?7))
    ON CONFLICT (holder_id, holder_kind, period, starts_at) DO UPDATE
       SET used = q.used + min(?6, max(1, (?7 - q.used) / 4)),
           last_delta = min(?6, max(1, (?7 - q.used) / 4))
     WHERE q.used < ?7
    RETURNING last_delta, used";

const SETTLE: &str = "
    INSERT INTO quota_usage AS q
           (holder_kind, holder_id, period, starts_at, ends_at, used, last_delta)
    VALUES (?1, ?2, ?3, ?4, ?5, max(0, ?6), ?6)
    ON CONFLICT (holder_id, holder_kind, period, starts_at) DO UPDATE
       SET used = max(0, q.used + ?6), last_delta = ?6";

pub(super) fn lease(
    db: &Connection,
    account: &QuotaAccount,
    limit: u64,
    want: u64,
) -> Result<QuotaLease, StoreError> {
    let row = one(
        db,
        LEASE,
        params![
            account.holder.kind(),
            Id(account.holder.id()),
            account.period.as_str(),
            Micros(account.starts_at),
            Micros(account.ends_at),
            signed(want),
            signed(limit),
        ],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(QuotaLease::from_row(row, limit))
}

pub(super) fn settle(
    db: &mut Connection,
    deltas: &[(QuotaAccount, i64)],
) -> Result<(), StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (account, delta) in deltas {
        run(
            &tx,
            SETTLE,
            params![
                account.holder.kind(),
                Id(account.holder.id()),
                account.period.as_str(),
                Micros(account.starts_at),
                Micros(account.ends_at),
                delta,
            ],
        )?;
    }
    Ok(tx.commit()?)
}

pub(super) fn forget(db: &Connection, before: Timestamp) -> Result<(), StoreError> {
    run(db, "DELETE FROM quota_usage WHERE ends_at < ?1", params![Micros(before)])?;
    Ok(())
}
