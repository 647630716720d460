//! The audit log and its chain.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;

use super::commit::lock;
use super::query::{Select, all, one, run, transaction};
use crate::store::{
    Actor, AuditEntry, AuditFilter, AuditRow, Chain, ChainHead, ChainKeys, ChainOrigin, Order,
    Page, PageRequest, StoreError, audit, stored,
};

/// The longest that a rotation may take, on logs of any size.
pub(super) const ROTATE: Duration = Duration::from_secs(600);

/// Rows that a rotation holds in memory.
const BATCH: i64 = 1000;

// A time that no Rust type holds was not written by us: it is read as one that breaks the chain.
const SELECT: &str = "
    SELECT seq, CASE WHEN at BETWEEN '0001-01-01' AND '9999-01-01' THEN at ELSE 'epoch' END AS at,
           action, actor_user_id::text, actor_key_id::text, abbrev(actor_ip) AS actor_ip,
           request_id::text, subject_kind, subject_id, before::text, after::text, mac
      FROM audit_log";

pub(super) async fn origin(db: &ClientWrapper) -> Result<ChainOrigin, StoreError> {
    let sql = "SELECT id, audit_chain_after, secret_fingerprint FROM instance";
    let origin = one(db, sql, &[], |row| {
        let fingerprint: Option<&[u8]> = row.try_get(2)?;
        Ok(ChainOrigin {
            instance: row.try_get(0)?,
            after: row.try_get::<_, i64>(1)? as u64,
            fingerprint: fingerprint.map(stored::fingerprint).transpose()?,
        })
    });
    origin.await?.ok_or_else(|| StoreError::Incompatible("it has no instance row".into()))
}

pub(super) async fn head(db: &ClientWrapper) -> Result<Option<ChainHead>, StoreError> {
    let sql = "SELECT seq, mac FROM audit_log ORDER BY seq DESC LIMIT 1";
    one(db, sql, &[], |row| {
        let seq: i64 = row.try_get(0)?;
        Ok(ChainHead { seq: seq as u64, mac: stored::mac(row.try_get(1)?)? })
    })
    .await
}

/// Claims the store for our `SECRET_KEY` if nobody has, or checks that it is ours.
pub(super) async fn claim(db: &ClientWrapper, keys: &ChainKeys) -> Result<ChainOrigin, StoreError> {
    let sql = "UPDATE instance SET secret_fingerprint = $1 WHERE secret_fingerprint IS NULL";
    run(db, sql, &[&keys.fingerprint().as_slice()]).await?;
    let origin = origin(db).await?;
    keys.accept(&origin)?;
    Ok(origin)
}

/// The chain, to go on from its newest row; for a transaction that holds the lock of writers.
pub(super) async fn chain<'k>(
    db: &ClientWrapper,
    keys: &'k ChainKeys,
) -> Result<Chain<'k>, StoreError> {
    let origin = claim(db, keys).await?;
    keys.resume(&origin, head(db).await?)
}

pub(super) async fn write(db: &ClientWrapper, row: &AuditRow) -> Result<(), StoreError> {
    let AuditRow { seq, entry, mac } = row;
    run(
        db,
        "INSERT INTO audit_log (seq, at, action, actor_user_id, actor_key_id, actor_ip, request_id,
                                subject_kind, subject_id, before, after, mac)
         VALUES ($1, $2, $3, $4::text::uuid, $5::text::uuid, $6::text::inet, $7::text::uuid,
                 $8, $9, $10::text::json, $11::text::json, $12)",
        &[
            &(*seq as i64),
            &entry.at,
            &entry.action,
            &entry.actor_user_id,
            &entry.actor_key_id,
            &entry.actor_ip,
            &entry.request_id,
            &entry.subject_kind,
            &entry.subject_id,
            &entry.before,
            &entry.after,
            &mac.as_bytes().as_slice(),
        ],
    )
    .await
    .map(drop)
}

pub(super) async fn list(
    db: &ClientWrapper,
    filter: &AuditFilter,
    order: Order,
    page: &PageRequest,
) -> Result<Page<AuditRow>, StoreError> {
    let (beyond, key) = match order {
        Order::OldestFirst => ("seq > ?", "seq"),
        Order::NewestFirst => ("seq < ?", "seq DESC"),
    };
    let rows = Select::new(format!("{SELECT} WHERE true"))
        .and("action = ?", filter.action.clone())
        .and("actor_user_id = ?", filter.actor_user_id)
        .and("subject_kind = ?", filter.subject_kind.clone())
        .and("subject_id = ?", filter.subject_id.clone())
        .and("at >= ?", filter.from)
        .and("at < ?", filter.to)
        .and(beyond, audit::cursor(page.after.as_deref())?)
        .rows(db, key, page.rows_to_read(), read)
        .await?;
    Ok(Page::cut(rows, page, |row| row.seq.to_string()))
}

/// Nobody writes meanwhile, and nobody sees half of it.
pub(super) async fn rotate(
    db: &ClientWrapper,
    keys: &ChainKeys,
    by: &Actor,
) -> Result<ChainHead, StoreError> {
    transaction(db, ROTATE, async {
        lock(db).await?;
        let origin = origin(db).await?;
        let (mut old, mut new) = keys.to_rotate(&origin)?;
        loop {
            let sql = format!("{SELECT} WHERE seq > $1 ORDER BY seq LIMIT $2");
            let rows = all(db, &sql, &[&(old.head().seq as i64), &BATCH], read).await?;
            if rows.is_empty() {
                break;
            }
            let mut moved = Vec::with_capacity(rows.len());
            for row in rows {
                old.follow(&row).map_err(audit::broken)?;
                moved.push(new.append(row.entry));
            }
            rechain(db, &moved).await?;
        }
        let sql = "UPDATE instance SET secret_fingerprint = $1";
        run(db, sql, &[&keys.fingerprint().as_slice()]).await?;
        let row = new.append(audit::rotation(by, origin.instance, old.head()));
        write(db, &row).await?;
        Ok(new.head())
    })
    .await
}

async fn rechain(db: &ClientWrapper, rows: &[AuditRow]) -> Result<(), StoreError> {
    let seqs: Vec<_> = rows.iter().map(|row| row.seq as i64).collect();
    let macs: Vec<_> = rows.iter().map(|row| row.mac.as_bytes().as_slice()).collect();
    let sql = "UPDATE audit_log SET mac = new.mac
                 FROM unnest($1::bigint[], $2::bytea[]) AS new (seq, mac)
                WHERE audit_log.seq = new.seq";
    run(db, sql, &[&seqs, &macs]).await.map(drop)
}

fn read(row: &Row) -> Result<AuditRow, StoreError> {
    let address: Option<String> = row.try_get("actor_ip")?;
    let entry = AuditEntry {
        at: row.try_get("at")?,
        action: row.try_get("action")?,
        actor_user_id: row.try_get("actor_user_id")?,
        actor_key_id: row.try_get("actor_key_id")?,
        actor_ip: address.map(audit::address),
        request_id: row.try_get("request_id")?,
        subject_kind: row.try_get("subject_kind")?,
        subject_id: row.try_get("subject_id")?,
        before: row.try_get("before")?,
        after: row.try_get("after")?,
    };
    let seq: i64 = row.try_get("seq")?;
    Ok(AuditRow { seq: seq as u64, entry, mac: stored::mac(row.try_get("mac")?)? })
}
