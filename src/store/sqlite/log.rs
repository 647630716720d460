//! The audit log and its chain.

use std::time::Duration;

use rusqlite::{Connection, Row, TransactionBehavior, params, params_from_iter};

use super::select::Select;
use super::values::{Id, Micros, all, one, run};
use crate::store::{
    Actor, AuditEntry, AuditFilter, AuditRow, Chain, ChainHead, ChainKeys, ChainOrigin, Order,
    Page, PageRequest, StoreError, audit, stored,
};

/// The longest that a rotation may take, on logs of any size.
pub(super) const ROTATE: Duration = Duration::from_secs(600);

/// Rows that a rotation holds in memory.
const BATCH: usize = 1000;

// A time that no Rust type holds was not written by us: it is read as one that breaks the chain.
const SELECT: &str = "
    SELECT seq, CASE WHEN at BETWEEN -62135596800000000 AND 253370764800000000 THEN at ELSE 0 END
           AS at,
           action, actor_user_id, actor_key_id, actor_ip, request_id, subject_kind, subject_id,
           before, after, mac
      FROM audit_log";

pub(super) fn origin(db: &Connection) -> Result<ChainOrigin, StoreError> {
    let sql = "SELECT id, audit_chain_after, secret_fingerprint FROM instance";
    let origin = one(db, sql, [], |row| {
        let fingerprint: Option<Vec<u8>> = row.get(2)?;
        Ok(ChainOrigin {
            instance: row.get::<_, Id>(0)?.0,
            after: row.get(1)?,
            fingerprint: fingerprint.as_deref().map(stored::fingerprint).transpose()?,
        })
    })?;
    origin.ok_or_else(|| StoreError::Incompatible("it has no instance row".into()))
}

pub(super) fn head(db: &Connection) -> Result<Option<ChainHead>, StoreError> {
    let sql = "SELECT seq, mac FROM audit_log ORDER BY seq DESC LIMIT 1";
    one(db, sql, [], |row| {
        Ok(ChainHead { seq: row.get(0)?, mac: stored::mac(&row.get::<_, Vec<u8>>(1)?)? })
    })
}

/// Claims the store for our `SECRET_KEY` if nobody has, or checks that it is ours.
pub(super) fn claim(db: &Connection, keys: &ChainKeys) -> Result<ChainOrigin, StoreError> {
    let sql = "UPDATE instance SET secret_fingerprint = ?1 WHERE secret_fingerprint IS NULL";
    run(db, sql, params![keys.fingerprint()])?;
    let origin = origin(db)?;
    keys.accept(&origin)?;
    Ok(origin)
}

/// The chain, to go on from its newest row; for a transaction that holds the write lock.
pub(super) fn chain<'k>(db: &Connection, keys: &'k ChainKeys) -> Result<Chain<'k>, StoreError> {
    let origin = claim(db, keys)?;
    keys.resume(&origin, head(db)?)
}

pub(super) fn write(db: &Connection, row: &AuditRow) -> Result<(), StoreError> {
    let AuditRow { seq, entry, mac } = row;
    run(
        db,
        "INSERT INTO audit_log (seq, at, action, actor_user_id, actor_key_id, actor_ip, request_id,
                                subject_kind, subject_id, before, after, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            seq,
            Micros(entry.at),
            entry.action,
            entry.actor_user_id,
            entry.actor_key_id,
            entry.actor_ip,
            entry.request_id,
            entry.subject_kind,
            entry.subject_id,
            entry.before,
            entry.after,
            mac.as_bytes(),
        ],
    )
    .map(drop)
}

pub(super) fn list(
    db: &Connection,
    filter: AuditFilter,
    order: Order,
    page: &PageRequest,
) -> Result<Page<AuditRow>, StoreError> {
    let (beyond, key) = match order {
        Order::OldestFirst => ("seq > ?", "seq"),
        Order::NewestFirst => ("seq < ?", "seq DESC"),
    };
    let (sql, values) = Select::new(format!("{SELECT} WHERE true"))
        .and("action = ?", filter.action)
        .and("actor_user_id = ?", filter.actor_user_id.map(Id))
        .and("subject_kind = ?", filter.subject_kind)
        .and("subject_id = ?", filter.subject_id)
        .and("at >= ?", filter.from.map(Micros))
        .and("at < ?", filter.to.map(Micros))
        .and(beyond, audit::cursor(page.after.as_deref())?)
        .ordered(key, page.rows_to_read());
    let rows = all(db, &sql, params_from_iter(values), read)?;
    Ok(Page::cut(rows, page, |row| row.seq.to_string()))
}

/// Nobody writes meanwhile, and nobody sees half of it.
pub(super) fn rotate(
    db: &mut Connection,
    keys: &ChainKeys,
    by: &Actor,
) -> Result<ChainHead, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let origin = origin(&tx)?;
    let (mut old, mut new) = keys.to_rotate(&origin)?;
    loop {
        let sql = format!("{SELECT} WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        let rows = all(&tx, &sql, params![old.head().seq, BATCH], read)?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            old.follow(&row).map_err(audit::broken)?;
            let AuditRow { seq, mac, .. } = new.append(row.entry);
            let sql = "UPDATE audit_log SET mac = ?2 WHERE seq = ?1";
            run(&tx, sql, params![seq, mac.as_bytes()])?;
        }
    }
    run(&tx, "UPDATE instance SET secret_fingerprint = ?1", params![keys.fingerprint()])?;
    let row = new.append(audit::rotation(by, origin.instance, old.head()));
    write(&tx, &row)?;
    tx.commit()?;
    Ok(new.head())
}

fn read(row: &Row<'_>) -> Result<AuditRow, StoreError> {
    let entry = AuditEntry {
        at: row.get::<_, Micros>("at")?.0,
        action: row.get("action")?,
        actor_user_id: row.get("actor_user_id")?,
        actor_key_id: row.get("actor_key_id")?,
        actor_ip: row.get::<_, Option<String>>("actor_ip")?.map(audit::address),
        request_id: row.get("request_id")?,
        subject_kind: row.get("subject_kind")?,
        subject_id: row.get("subject_id")?,
        before: row.get("before")?,
        after: row.get("after")?,
    };
    let mac = stored::mac(&row.get::<_, Vec<u8>>("mac")?)?;
    Ok(AuditRow { seq: row.get("seq")?, entry, mac })
}
