//! Failed attempts, locks, known sources, and security events.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, TransactionBehavior, params, params_from_iter};
use uuid::Uuid;

use super::select::Select;
use super::values::{Id, Json, Micros, all, one, run, value};
use super::{BULK_PATIENCE, PATIENCE, SqliteStore};
use crate::clock;
use crate::lockout::{Attempts, KnownSource, Ledger, Lock, Recent, SecurityEvent, Target};
use crate::store::security::{CHANGES, EXCHANGED, SHOWN, lifted};
use crate::store::{
    Actor, AttemptFilter, EventFilter, EventOrder, EventRow, FailedAttempts, LockoutFilter,
    LockoutRow, Page, PageRequest, RoleChanges, SecurityStore, StoreError, stored,
};

#[async_trait]
impl SecurityStore for SqliteStore {
    async fn exchange(&self, said: &Ledger, recent: Recent) -> Result<Ledger, StoreError> {
        let said = said.clone();
        self.writer.run(BULK_PATIENCE, move |db| exchange(db, &said, recent)).await
    }

    async fn lockouts(
        &self,
        filter: &LockoutFilter,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<LockoutRow>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |db| lockouts(db, &filter, now, &page)).await
    }

    async fn lift(&self, id: Uuid, by: &Actor) -> Result<Lock, StoreError> {
        let by = by.clone();
        self.writer.run(PATIENCE, move |db| lift(db, id, &by)).await
    }

    async fn failed_attempts(
        &self,
        filter: &AttemptFilter,
    ) -> Result<Vec<FailedAttempts>, StoreError> {
        let filter = filter.clone();
        self.read(move |db| failed_attempts(db, &filter)).await
    }

    async fn record_events(&self, events: &[SecurityEvent]) -> Result<Vec<Uuid>, StoreError> {
        let events = events.to_vec();
        self.writer.run(BULK_PATIENCE, move |db| record_events(db, &events)).await
    }

    async fn events(
        &self,
        filter: &EventFilter,
        order: EventOrder,
        page: &PageRequest,
    ) -> Result<Page<EventRow>, StoreError> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |db| events(db, &filter, order, &page)).await
    }

    async fn role_changes(&self, after: Option<u64>) -> Result<RoleChanges, StoreError> {
        self.read(move |db| role_changes(db, after)).await
    }

    async fn forget_security(
        &self,
        attempts: Timestamp,
        events: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer.run(BULK_PATIENCE, move |db| forget(db, attempts, events)).await
    }
}

fn exchange(db: &mut Connection, said: &Ledger, recent: Recent) -> Result<Ledger, StoreError> {
    let now = clock::now();
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    said.attempts.iter().try_for_each(|attempts| add_attempts(&tx, attempts, now))?;
    said.locks.iter().try_for_each(|lock| add_lock(&tx, lock, now))?;
    said.known.iter().try_for_each(|known| add_known(&tx, known, now))?;
    let from = since(now, recent.0);
    let news = Ledger {
        attempts: recent_attempts(&tx, from)?,
        locks: recent_locks(&tx, from)?,
        known: recent_known(&tx, from)?,
    };
    tx.commit()?;
    Ok(news)
}

fn since(now: Timestamp, recent: Duration) -> Micros {
    let recent = SignedDuration::try_from(recent).unwrap_or(SignedDuration::MAX);
    Micros(now.checked_sub(recent).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn add_attempts(db: &Connection, attempts: &Attempts, now: Timestamp) -> Result<(), StoreError> {
    let sql = "
        INSERT INTO failed_attempts
               (kind, subject, source, what, since, slot_at, count, updated_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            ON CONFLICT (kind, subject, source, what, since, slot_at) DO UPDATE
           SET count = count + excluded.count, updated_at = excluded.updated_at";
    let target = &attempts.target;
    run(
        db,
        sql,
        params![
            target.kind(),
            Id(target.subject()),
            stored::source_text(target.source()),
            attempts.what,
            Micros(attempts.since),
            Micros(attempts.slot_at),
            attempts.count,
            Micros(now),
        ],
    )
    .map(drop)
}

fn add_lock(db: &Connection, lock: &Lock, now: Timestamp) -> Result<(), StoreError> {
    let sql = "
        INSERT INTO lockouts (id, kind, subject, source, at, until, strikes, updated_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            ON CONFLICT (kind, subject, source) DO UPDATE
           SET at = excluded.at, until = excluded.until, strikes = excluded.strikes,
               cleared_at = NULL, updated_at = excluded.updated_at
         WHERE lockouts.until <= excluded.at";
    run(
        db,
        sql,
        params![
            Id(Uuid::now_v7()),
            lock.target.kind(),
            Id(lock.target.subject()),
            stored::source_text(lock.target.source()),
            Micros(lock.at),
            Micros(lock.until),
            lock.strikes,
            Micros(now),
        ],
    )
    .map(drop)
}

fn add_known(db: &Connection, known: &KnownSource, now: Timestamp) -> Result<(), StoreError> {
    let sql = "
        INSERT INTO known_sources (user_id, source, last_seen, updated_at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (user_id, source) DO UPDATE
           SET last_seen = max(last_seen, excluded.last_seen), updated_at = excluded.updated_at";
    let (user, source) = (Id(known.user_id), known.source.to_string());
    run(db, sql, params![user, source, Micros(known.last_seen), Micros(now)]).map(drop)
}

const RECENT: &str = "updated_at > ?1 ORDER BY updated_at DESC LIMIT ?2";

fn recent_attempts(db: &Connection, from: Micros) -> Result<Vec<Attempts>, StoreError> {
    let sql = format!(
        "SELECT kind, subject, source, what, since, slot_at, count
           FROM failed_attempts WHERE {RECENT}"
    );
    all(db, &sql, params![from, EXCHANGED], |row| {
        Ok(Attempts {
            target: target(row)?,
            what: row.get::<_, String>("what")?.into(),
            since: row.get::<_, Micros>("since")?.0,
            slot_at: row.get::<_, Micros>("slot_at")?.0,
            count: row.get("count")?,
        })
    })
}

fn recent_locks(db: &Connection, from: Micros) -> Result<Vec<Lock>, StoreError> {
    all(db, &format!("{LOCKOUTS} WHERE {RECENT}"), params![from, EXCHANGED], lock)
}

fn recent_known(db: &Connection, from: Micros) -> Result<Vec<KnownSource>, StoreError> {
    let sql = format!("SELECT user_id, source, last_seen FROM known_sources WHERE {RECENT}");
    all(db, &sql, params![from, EXCHANGED], |row| {
        let source = stored::source(&row.get::<_, String>(1)?)?;
        Ok(KnownSource {
            user_id: row.get::<_, Id>(0)?.0,
            source: source.ok_or(stored::unreadable("a source"))?,
            last_seen: row.get::<_, Micros>(2)?.0,
        })
    })
}

const LOCKOUTS: &str =
    "SELECT id, kind, subject, source, at, until, strikes, cleared_at FROM lockouts";

fn lockouts(
    db: &Connection,
    filter: &LockoutFilter,
    now: Timestamp,
    page: &PageRequest,
) -> Result<Page<LockoutRow>, StoreError> {
    let after = stored::cursor(page.after.as_deref())?;
    let (sql, values) = Select::new(format!("{LOCKOUTS} WHERE true"))
        .and("until > ?", Some(Micros(now)))
        .and("subject = ?", filter.user_id.map(Id))
        .and("source = ?", filter.source.map(|source| source.to_string()))
        .and("id > ?", after.map(Id))
        .ordered("id", page.rows_to_read());
    let rows = all(db, &sql, params_from_iter(values), |row| {
        Ok(LockoutRow { id: row.get::<_, Id>("id")?.0, lock: lock(row)? })
    })?;
    Ok(Page::cut(rows, page, |row| row.id.to_string()))
}

fn lift(db: &mut Connection, id: Uuid, by: &Actor) -> Result<Lock, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = format!("{LOCKOUTS} WHERE id = ?1 AND until > ?2");
    let lock = one(&tx, &sql, params![Id(id), Micros(by.at)], lock)?;
    let lock = lock.ok_or(StoreError::NotFound { what: "block" })?;
    let sql = "UPDATE lockouts SET until = ?2, strikes = 0, cleared_at = ?2, updated_at = ?3
                WHERE id = ?1";
    run(&tx, sql, params![Id(id), Micros(by.at), Micros(clock::now())])?;
    let sql = "DELETE FROM failed_attempts WHERE kind = ?1 AND subject = ?2 AND source = ?3";
    let source = stored::source_text(lock.target.source());
    run(&tx, sql, params![lock.target.kind(), Id(lock.target.subject()), source])?;
    insert_event(&tx, &lifted(&lock, by))?;
    tx.commit()?;
    Ok(lock)
}

/// Ends the automatic locks of an account and its keys, and forgets what led to them.
pub(super) fn forgive(db: &Connection, user: Uuid, by: &Actor) -> Result<(), StoreError> {
    const THEIRS: &str = "(kind IN ('guess', 'account') AND subject = ?1
        OR kind = 'key' AND subject IN (SELECT id FROM api_keys WHERE user_id = ?1))";
    let now = Micros(clock::now());
    run(db, &format!("DELETE FROM failed_attempts WHERE {THEIRS}"), params![Id(user)])?;
    let sql = format!(
        "UPDATE lockouts SET until = min(until, ?2), strikes = 0, cleared_at = ?2, updated_at = ?3
          WHERE {THEIRS}"
    );
    run(db, &sql, params![Id(user), Micros(by.at), now])?;
    // The node forgets what it counted by this row, whether or not there was a lock.
    let sql = "
        INSERT INTO lockouts (id, kind, subject, source, at, until, strikes, cleared_at, updated_at)
        VALUES (?1, 'account', ?2, '', ?3, ?3, 0, ?3, ?4)
            ON CONFLICT (kind, subject, source) DO NOTHING";
    run(db, sql, params![Id(Uuid::now_v7()), Id(user), Micros(by.at), now]).map(drop)
}

fn failed_attempts(
    db: &Connection,
    filter: &AttemptFilter,
) -> Result<Vec<FailedAttempts>, StoreError> {
    let sql = "
        SELECT kind, subject, source, what, sum(count) AS count, max(updated_at) AS last_at
          FROM failed_attempts
         WHERE (?1 IS NULL OR subject = ?1) AND (?2 IS NULL OR source = ?2)
         GROUP BY kind, subject, source, what ORDER BY last_at DESC LIMIT ?3";
    let source = filter.source.map(|source| source.to_string());
    all(db, sql, params![filter.user_id.map(Id), source, SHOWN], |row| {
        Ok(FailedAttempts {
            target: target(row)?,
            what: row.get("what")?,
            count: row.get("count")?,
            last_at: row.get::<_, Micros>("last_at")?.0,
        })
    })
}

fn record_events(db: &mut Connection, events: &[SecurityEvent]) -> Result<Vec<Uuid>, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut kept = Vec::new();
    for event in events {
        if insert_event(&tx, event)? {
            kept.push(event.id);
        }
    }
    tx.commit()?;
    Ok(kept)
}

fn insert_event(db: &Connection, event: &SecurityEvent) -> Result<bool, StoreError> {
    let sql = "
        INSERT INTO security_events
               (seq, id, fingerprint, at, kind, node, user_id, key_id, source, evidence)
        VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM security_events),
                ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            ON CONFLICT DO NOTHING";
    let finding = &event.finding;
    let rows = run(
        db,
        sql,
        params![
            Id(event.id),
            event.fingerprint(),
            Micros(event.at),
            finding.kind.code(),
            event.node,
            finding.user_id.map(Id),
            finding.key_id.map(Id),
            finding.source.map(|source| source.to_string()),
            Json(serde_json::Value::Object(finding.evidence.clone())),
        ],
    )?;
    Ok(rows > 0)
}

fn events(
    db: &Connection,
    filter: &EventFilter,
    order: EventOrder,
    page: &PageRequest,
) -> Result<Page<EventRow>, StoreError> {
    let (after, order) = order.sql();
    let (sql, values) = Select::new(
        "SELECT seq, id, at, kind, node, user_id, key_id, source, evidence
           FROM security_events WHERE true"
            .into(),
    )
    .and("kind = ?", filter.kind.map(|kind| kind.code()))
    .and("user_id = ?", filter.user_id.map(Id))
    .and("at >= ?", filter.from.map(Micros))
    .and("at < ?", filter.to.map(Micros))
    .and(after, stored::number_cursor(page.after.as_deref())?)
    .ordered(order, page.rows_to_read());
    let rows = all(db, &sql, params_from_iter(values), event)?;
    Ok(Page::cut(rows, page, |row| row.seq.to_string()))
}

fn role_changes(db: &Connection, after: Option<u64>) -> Result<RoleChanges, StoreError> {
    let Some(after) = after else {
        let seq = value(db, "SELECT coalesce(max(seq), 0) FROM audit_log", [])?;
        return Ok(RoleChanges { seq, ..RoleChanges::default() });
    };
    let mut changes = RoleChanges { seq: after, ..RoleChanges::default() };
    let sql = "SELECT seq, action, subject_id FROM audit_log
                WHERE seq > ?1
                  AND (action IN ('add_roles', 'remove_role', 'update_role', 'delete_role')
                       OR action = 'update_user' AND before ->> '$.roles' <> after ->> '$.roles')
                ORDER BY seq LIMIT ?2";
    all(db, sql, params![after, CHANGES], |row| {
        changes.seq = row.get(0)?;
        changes.note(&row.get::<_, String>(1)?, row.get(2)?)
    })?;
    Ok(changes)
}

fn forget(db: &mut Connection, attempts: Timestamp, events: Timestamp) -> Result<(), StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = params![Micros(attempts)];
    run(&tx, "DELETE FROM failed_attempts WHERE updated_at < ?1", before)?;
    run(&tx, "DELETE FROM known_sources WHERE updated_at < ?1", before)?;
    let day_before = since(attempts, Duration::from_secs(24 * 60 * 60));
    run(&tx, "DELETE FROM lockouts WHERE updated_at < ?1 AND until < ?1", params![day_before])?;
    // The newest stays, so that numbers are never given twice.
    let sql = "DELETE FROM security_events
                WHERE at < ?1 AND seq < (SELECT max(seq) FROM security_events)";
    run(&tx, sql, params![Micros(events)])?;
    Ok(tx.commit()?)
}

fn lock(row: &Row<'_>) -> Result<Lock, StoreError> {
    Ok(Lock {
        target: target(row)?,
        at: row.get::<_, Micros>("at")?.0,
        until: row.get::<_, Micros>("until")?.0,
        strikes: stored::strikes(row.get("strikes")?),
        cleared_at: row.get::<_, Option<Micros>>("cleared_at")?.map(|at| at.0),
    })
}

fn target(row: &Row<'_>) -> Result<Target, StoreError> {
    let source = stored::source(&row.get::<_, String>("source")?)?;
    stored::target(&row.get::<_, String>("kind")?, row.get::<_, Id>("subject")?.0, source)
}

fn event(row: &Row<'_>) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        seq: row.get("seq")?,
        id: row.get::<_, Id>("id")?.0,
        at: row.get::<_, Micros>("at")?.0,
        kind: row.get("kind")?,
        node: row.get("node")?,
        user_id: row.get::<_, Option<Id>>("user_id")?.map(|id| id.0),
        key_id: row.get::<_, Option<Id>>("key_id")?.map(|id| id.0),
        source: row.get("source")?,
        evidence: row.get::<_, Json>("evidence")?.0,
    })
}
