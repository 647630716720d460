//! Changes that were made once and may be asked for again.

use deadpool_postgres::ClientWrapper;
use jiff::Timestamp;
use uuid::Uuid;

use super::query::{one, run};
use crate::store::terms::receipts_since;
use crate::store::{KeptReceipt, Receipt, StoreError, stored};

pub(super) async fn find(
    db: &ClientWrapper,
    caller: Uuid,
    name: &str,
    now: Timestamp,
) -> Result<Option<KeptReceipt>, StoreError> {
    let sql = "SELECT request_hash, subject_id, answer FROM idempotency_receipts
                WHERE api_key_id = $1 AND name = $2 AND at > $3";
    one(db, sql, &[&caller, &name, &receipts_since(now)], |row| {
        Ok(KeptReceipt {
            request_hash: *stored::digest(row.try_get(0)?)?.as_bytes(),
            subject: row.try_get(1)?,
            answer: row.try_get(2)?,
        })
    })
    .await
}

/// In the transaction of the change, before it.
pub(super) async fn keep(
    db: &ClientWrapper,
    receipt: &Receipt,
    subject: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM idempotency_receipts WHERE at <= $1";
    run(db, sql, &[&receipts_since(now)]).await?;
    let sql = "INSERT INTO idempotency_receipts (api_key_id, name, request_hash, subject_id, at)
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let hash = receipt.request_hash.as_slice();
    let kept = run(db, sql, &[&receipt.caller, &receipt.name, &hash, &subject, &now]).await?;
    if kept == 0 {
        return Err(StoreError::Repeated);
    }
    let sql = "DELETE FROM idempotency_receipts WHERE api_key_id = $1 AND at < (
                   SELECT at FROM idempotency_receipts WHERE api_key_id = $1
                    ORDER BY at DESC LIMIT 1 OFFSET $2)";
    run(db, sql, &[&receipt.caller, &(Receipt::PER_CALLER - 1)]).await?;
    Ok(())
}

pub(super) async fn keep_answer(
    db: &ClientWrapper,
    receipt: &Receipt,
    answer: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE idempotency_receipts SET answer = $3
                WHERE api_key_id = $1 AND name = $2 AND answer IS NULL";
    run(db, sql, &[&receipt.caller, &receipt.name, &answer]).await?;
    Ok(())
}
