//! Quotas, handed out to nodes a lease at a time.

use deadpool_postgres::ClientWrapper;
use jiff::Timestamp;

use super::query::{one, run};
use crate::store::quota::signed;
use crate::store::{QuotaAccount, QuotaLease, StoreError};

/// One statement, so that the row's lock puts nodes in a line: none is given what another has.
/// Towards the end leases shrink, so that little lies unused on one node while another refuses.
const LEASE: &str = "
    INSERT INTO quota_usage AS q
           (holder_kind, holder_id, period, starts_at, ends_at, used, last_delta)
    VALUES ($1, $2, $3, $4, $5, least($6::bigint, $7::bigint), least($6::bigint, $7::bigint))
    ON CONFLICT (holder_id, holder_kind, period, starts_at) DO UPDATE
       SET used = q.used + least($6, greatest(1, ($7 - q.used) / 4)),
           last_delta = least($6, greatest(1, ($7 - q.used) / 4))
     WHERE q.used < $7
    RETURNING last_delta, used";

pub(super) async fn lease(
    db: &ClientWrapper,
    account: &QuotaAccount,
    limit: u64,
    want: u64,
) -> Result<QuotaLease, StoreError> {
    let found = one(
        db,
        LEASE,
        &[
            &account.holder.kind(),
            &account.holder.id(),
            &account.period.as_str(),
            &account.starts_at,
            &account.ends_at,
            &signed(want),
            &signed(limit),
        ],
        |row| Ok((row.try_get(0)?, row.try_get(1)?)),
    )
    .await?;
    Ok(QuotaLease::from_row(found, limit))
}

/// In the order of the rows' keys, so that nodes do not wait for each other in a circle.
const SETTLE: &str = "
    INSERT INTO quota_usage AS q
           (holder_kind, holder_id, period, starts_at, ends_at, used, last_delta)
    SELECT kind, id, period, starts_at, ends_at, greatest(0, delta), delta
      FROM unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                  $6::bigint[])
        AS s (kind, id, period, starts_at, ends_at, delta)
     ORDER BY id, kind, period, starts_at
    ON CONFLICT (holder_id, holder_kind, period, starts_at) DO UPDATE
       SET used = greatest(0, q.used + excluded.last_delta), last_delta = excluded.last_delta";

pub(super) async fn settle(
    db: &ClientWrapper,
    deltas: &[(QuotaAccount, i64)],
) -> Result<(), StoreError> {
    let kinds: Vec<_> = deltas.iter().map(|(account, _)| account.holder.kind()).collect();
    let ids: Vec<_> = deltas.iter().map(|(account, _)| account.holder.id()).collect();
    let periods: Vec<_> = deltas.iter().map(|(account, _)| account.period.as_str()).collect();
    let starts: Vec<_> = deltas.iter().map(|(account, _)| account.starts_at).collect();
    let ends: Vec<_> = deltas.iter().map(|(account, _)| account.ends_at).collect();
    let deltas: Vec<_> = deltas.iter().map(|(_, delta)| *delta).collect();
    run(db, SETTLE, &[&kinds, &ids, &periods, &starts, &ends, &deltas]).await?;
    Ok(())
}

pub(super) async fn forget(db: &ClientWrapper, before: Timestamp) -> Result<(), StoreError> {
    run(db, "DELETE FROM quota_usage WHERE ends_at < $1", &[&before]).await?;
    Ok(())
}
