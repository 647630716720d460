//! Changes that were made once and may be asked for again.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::values::{Id, Micros, one, run};
use crate::store::terms::receipts_since;
use crate::store::{KeptReceipt, Receipt, StoreError, stored};

pub(super) fn find(
    db: &Connection,
    caller: Uuid,
    name: &str,
    now: Timestamp,
) -> Result<Option<KeptReceipt>, StoreError> {
    let sql = "SELECT request_hash, subject_id, answer FROM idempotency_receipts
                WHERE api_key_id = ?1 AND name = ?2 AND at > ?3";
    one(db, sql, params![Id(caller), name, Micros(receipts_since(now))], |row| {
        Ok(KeptReceipt {
            request_hash: *stored::digest(&row.get::<_, Vec<u8>>(0)?)?.as_bytes(),
            subject: row.get(1)?,
            answer: row.get(2)?,
        })
    })
}

/// In the transaction of the change, before it.
pub(super) fn keep(
    db: &Connection,
    receipt: &Receipt,
    subject: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM idempotency_receipts WHERE at <= ?1";
    run(db, sql, [Micros(receipts_since(now))])?;
    let kept = run(
        db,
        "INSERT INTO idempotency_receipts (api_key_id, name, request_hash, subject_id, at)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        params![Id(receipt.caller), receipt.name, receipt.request_hash, subject, Micros(now)],
    )?;
    if kept == 0 {
        return Err(StoreError::Repeated);
    }
    run(
        db,
        "DELETE FROM idempotency_receipts WHERE api_key_id = ?1 AND at < (
             SELECT at FROM idempotency_receipts WHERE api_key_id = ?1
              ORDER BY at DESC LIMIT 1 OFFSET ?2)",
        params![Id(receipt.caller), Receipt::PER_CALLER - 1],
    )?;
    Ok(())
}

pub(super) fn keep_answer(
    db: &Connection,
    receipt: &Receipt,
    answer: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE idempotency_receipts SET answer = ?3
                WHERE api_key_id = ?1 AND name = ?2 AND answer IS NULL";
    run(db, sql, params![Id(receipt.caller), receipt.name, answer])?;
    Ok(())
}
