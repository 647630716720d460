//! Failed attempts, locks, known sources, and security events.

use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use super::PostgresStore;
use super::pool::{BULK, MANAGEMENT};
use super::query::{Select, all, one, run, transaction, value};
use crate::lockout::{Attempts, KnownSource, Ledger, Lock, Recent, SecurityEvent, Source, Target};
use crate::store::security::{CHANGES, EXCHANGED, SHOWN, lifted};
use crate::store::{
    Actor, AttemptFilter, EventFilter, EventOrder, EventRow, FailedAttempts, LockoutFilter,
    LockoutRow, Page, PageRequest, RoleChanges, SecurityStore, StoreError, stored,
};

#[async_trait]
impl SecurityStore for PostgresStore {
    async fn exchange(&self, said: &Ledger, recent: Recent) -> Result<Ledger, StoreError> {
        self.pool.run(BULK, async |db| exchange(db, said, recent).await).await
    }

    async fn lockouts(
        &self,
        filter: &LockoutFilter,
        now: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<LockoutRow>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| lockouts(db, filter, now, page).await).await
    }

    async fn lift(&self, id: Uuid, by: &Actor) -> Result<Lock, StoreError> {
        self.pool.run(MANAGEMENT, async |db| lift(db, id, by).await).await
    }

    async fn failed_attempts(
        &self,
        filter: &AttemptFilter,
    ) -> Result<Vec<FailedAttempts>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| failed_attempts(db, filter).await).await
    }

    async fn record_events(&self, events: &[SecurityEvent]) -> Result<Vec<Uuid>, StoreError> {
        self.pool.run(BULK, async |db| record_events(db, events).await).await
    }

    async fn events(
        &self,
        filter: &EventFilter,
        order: EventOrder,
        page: &PageRequest,
    ) -> Result<Page<EventRow>, StoreError> {
        self.pool.run(MANAGEMENT, async |db| events(db, filter, order, page).await).await
    }

    async fn role_changes(&self, after: Option<u64>) -> Result<RoleChanges, StoreError> {
        self.pool.run(MANAGEMENT, async |db| role_changes(db, after).await).await
    }

    async fn forget_security(
        &self,
        attempts: Timestamp,
        events: Timestamp,
    ) -> Result<(), StoreError> {
        self.pool.run(BULK, async |db| forget(db, attempts, events).await).await
    }
}

/// Any number will do. Two more than the lock of migrations.
const LOCK: i64 = 0x6761_7465_706f_7303;

async fn exchange(db: &ClientWrapper, said: &Ledger, recent: Recent) -> Result<Ledger, StoreError> {
    transaction(db, BULK, async {
        add_attempts(db, &said.attempts).await?;
        add_locks(db, &said.locks).await?;
        add_known(db, &said.known).await?;
        let seconds = recent.0.as_secs_f64();
        Ok(Ledger {
            attempts: recent_attempts(db, seconds).await?,
            locks: recent_locks(db, seconds).await?,
            known: recent_known(db, seconds).await?,
        })
    })
    .await
}

/// In the order of the key, so that nodes that flush at the same time do not wait for each other in
/// a circle. The same holds below.
async fn add_attempts(db: &ClientWrapper, attempts: &[Attempts]) -> Result<(), StoreError> {
    if attempts.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Attempts) -> Timestamp| attempts.iter().map(of).collect::<Vec<_>>();
    let kinds: Vec<_> = attempts.iter().map(|a| a.target.kind()).collect();
    let subjects: Vec<_> = attempts.iter().map(|a| a.target.subject()).collect();
    let sources: Vec<_> = attempts.iter().map(|a| stored::source_text(a.target.source())).collect();
    let whats: Vec<_> = attempts.iter().map(|a| &*a.what).collect();
    let (since, slots) = (column(|a| a.since), column(|a| a.slot_at));
    let counts: Vec<_> = attempts.iter().map(|a| a.count as i32).collect();
    let sql = "
        INSERT INTO failed_attempts AS f
               (kind, subject, source, what, since, slot_at, count, updated_at)
        SELECT kind, subject, source, what, since, slot_at, count, clock_timestamp()
          FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[],
                      $6::timestamptz[], $7::int[])
               AS u (kind, subject, source, what, since, slot_at, count)
         ORDER BY 1, 2, 3, 4, 5, 6
            ON CONFLICT (kind, subject, source, what, since, slot_at) DO UPDATE
           SET count = f.count + excluded.count, updated_at = excluded.updated_at";
    run(db, sql, &[&kinds, &subjects, &sources, &whats, &since, &slots, &counts]).await.map(drop)
}

async fn add_locks(db: &ClientWrapper, locks: &[Lock]) -> Result<(), StoreError> {
    let mut locks: Vec<_> = locks.iter().collect();
    locks.sort_by_key(|lock| lock.target);
    let sql = "
        INSERT INTO lockouts AS l (id, kind, subject, source, at, until, strikes, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
            ON CONFLICT (kind, subject, source) DO UPDATE
           SET at = excluded.at, until = excluded.until, strikes = excluded.strikes,
               cleared_at = NULL, updated_at = excluded.updated_at
         WHERE l.until <= excluded.at";
    for lock in locks {
        let (target, strikes) = (&lock.target, i16::from(lock.strikes));
        let source = stored::source_text(target.source());
        let (kind, subject) = (target.kind(), target.subject());
        let id = Uuid::now_v7();
        run(db, sql, &[&id, &kind, &subject, &source, &lock.at, &lock.until, &strikes]).await?;
    }
    Ok(())
}

async fn add_known(db: &ClientWrapper, known: &[KnownSource]) -> Result<(), StoreError> {
    if known.is_empty() {
        return Ok(());
    }
    let users: Vec<_> = known.iter().map(|known| known.user_id).collect();
    let sources: Vec<_> = known.iter().map(|known| known.source.to_string()).collect();
    let times: Vec<_> = known.iter().map(|known| known.last_seen).collect();
    let sql = "
        INSERT INTO known_sources AS k (user_id, source, last_seen, updated_at)
        SELECT user_id, source, last_seen, clock_timestamp()
          FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS u (user_id, source, last_seen)
         ORDER BY 1, 2
            ON CONFLICT (user_id, source) DO UPDATE
           SET last_seen = greatest(k.last_seen, excluded.last_seen),
               updated_at = excluded.updated_at";
    run(db, sql, &[&users, &sources, &times]).await.map(drop)
}

const RECENT: &str = "updated_at > clock_timestamp() - make_interval(secs => $1)
                      ORDER BY updated_at DESC LIMIT $2";

async fn recent_attempts(db: &ClientWrapper, seconds: f64) -> Result<Vec<Attempts>, StoreError> {
    let sql = format!(
        "SELECT kind, subject, source, what, since, slot_at, count
           FROM failed_attempts WHERE {RECENT}"
    );
    all(db, &sql, &[&seconds, &EXCHANGED], |row| {
        Ok(Attempts {
            target: target(row)?,
            what: row.try_get::<_, &str>("what")?.into(),
            since: row.try_get("since")?,
            slot_at: row.try_get("slot_at")?,
            count: row.try_get::<_, i32>("count")?.unsigned_abs(),
        })
    })
    .await
}

async fn recent_locks(db: &ClientWrapper, seconds: f64) -> Result<Vec<Lock>, StoreError> {
    all(db, &format!("{LOCKOUTS} WHERE {RECENT}"), &[&seconds, &EXCHANGED], lock).await
}

async fn recent_known(db: &ClientWrapper, seconds: f64) -> Result<Vec<KnownSource>, StoreError> {
    let sql = format!("SELECT user_id, source, last_seen FROM known_sources WHERE {RECENT}");
    all(db, &sql, &[&seconds, &EXCHANGED], |row| {
        let source = stored::source(row.try_get(1)?)?.ok_or(stored::unreadable("a source"))?;
        Ok(KnownSource { user_id: row.try_get(0)?, source, last_seen: row.try_get(2)? })
    })
    .await
}

const LOCKOUTS: &str =
    "SELECT id, kind, subject, source, at, until, strikes, cleared_at FROM lockouts";

async fn lockouts(
    db: &ClientWrapper,
    filter: &LockoutFilter,
    now: Timestamp,
    page: &PageRequest,
) -> Result<Page<LockoutRow>, StoreError> {
    let rows = Select::new(format!("{LOCKOUTS} WHERE true"))
        .and("until > ?", Some(now))
        .and("subject = ?", filter.user_id)
        .and("source = ?", filter.source.map(|source| source.to_string()))
        .and("id > ?", stored::cursor(page.after.as_deref())?)
        .rows(db, "id", page.rows_to_read(), |row| {
            Ok(LockoutRow { id: row.try_get("id")?, lock: lock(row)? })
        })
        .await?;
    Ok(Page::cut(rows, page, |row| row.id.to_string()))
}

async fn lift(db: &ClientWrapper, id: Uuid, by: &Actor) -> Result<Lock, StoreError> {
    transaction(db, BULK, async {
        let sql = format!("{LOCKOUTS} WHERE id = $1 AND until > $2 FOR UPDATE");
        let lock = one(db, &sql, &[&id, &by.at], lock).await?;
        let lock = lock.ok_or(StoreError::NotFound { what: "block" })?;
        let sql = "UPDATE lockouts SET until = $2, strikes = 0, cleared_at = $2,
                                       updated_at = clock_timestamp() WHERE id = $1";
        run(db, sql, &[&id, &by.at]).await?;
        let source = stored::source_text(lock.target.source());
        let sql = "DELETE FROM failed_attempts WHERE kind = $1 AND subject = $2 AND source = $3";
        run(db, sql, &[&lock.target.kind(), &lock.target.subject(), &source]).await?;
        insert_events(db, &[lifted(&lock, by)]).await?;
        Ok(lock)
    })
    .await
}

/// Ends the automatic locks of an account and its keys, and forgets what led to them.
pub(super) async fn forgive(db: &ClientWrapper, user: Uuid, by: &Actor) -> Result<(), StoreError> {
    const THEIRS: &str = "(kind IN ('guess', 'account') AND subject = $1
        OR kind = 'key' AND subject IN (SELECT id FROM api_keys WHERE user_id = $1))";
    run(db, &format!("DELETE FROM failed_attempts WHERE {THEIRS}"), &[&user]).await?;
    let sql = format!(
        "UPDATE lockouts SET until = least(until, $2), strikes = 0, cleared_at = $2,
                             updated_at = clock_timestamp() WHERE {THEIRS}"
    );
    run(db, &sql, &[&user, &by.at]).await?;
    // Nodes forget what they counted by this row, whether or not there was a lock.
    let sql = "
        INSERT INTO lockouts (id, kind, subject, source, at, until, strikes, cleared_at, updated_at)
        VALUES ($1, 'account', $2, '', $3, $3, 0, $3, clock_timestamp())
            ON CONFLICT (kind, subject, source) DO NOTHING";
    run(db, sql, &[&Uuid::now_v7(), &user, &by.at]).await.map(drop)
}

async fn failed_attempts(
    db: &ClientWrapper,
    filter: &AttemptFilter,
) -> Result<Vec<FailedAttempts>, StoreError> {
    let sql = "
        SELECT kind, subject, source, what, sum(count) AS count, max(updated_at) AS last_at
          FROM failed_attempts
         WHERE ($1::uuid IS NULL OR subject = $1) AND ($2::text IS NULL OR source = $2)
         GROUP BY kind, subject, source, what ORDER BY last_at DESC LIMIT $3";
    let source = filter.source.map(|source| source.to_string());
    all(db, sql, &[&filter.user_id, &source, &SHOWN], |row| {
        Ok(FailedAttempts {
            target: target(row)?,
            what: row.try_get("what")?,
            count: row.try_get::<_, i64>("count")?.unsigned_abs(),
            last_at: row.try_get("last_at")?,
        })
    })
    .await
}

async fn record_events(
    db: &ClientWrapper,
    events: &[SecurityEvent],
) -> Result<Vec<Uuid>, StoreError> {
    transaction(db, BULK, insert_events(db, events)).await
}

/// Under a lock, so that whoever has read up to a number has seen all before it.
async fn insert_events(
    db: &ClientWrapper,
    events: &[SecurityEvent],
) -> Result<Vec<Uuid>, StoreError> {
    run(db, "SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let sql = "
        INSERT INTO security_events
               (seq, id, fingerprint, at, kind, node, user_id, key_id, source, evidence)
        VALUES ((SELECT coalesce(max(seq), 0) + 1 FROM security_events),
                $1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT DO NOTHING";
    let mut kept = Vec::new();
    for event in events {
        let finding = &event.finding;
        let source = finding.source.map(|source| source.to_string());
        let evidence = serde_json::Value::Object(finding.evidence.clone());
        let (kind, fingerprint) = (finding.kind.code(), event.fingerprint());
        let (user, key) = (&finding.user_id, &finding.key_id);
        let node = &*event.node;
        let values: super::query::Parameters<'_> =
            &[&event.id, &fingerprint, &event.at, &kind, &node, user, key, &source, &evidence];
        if run(db, sql, values).await? > 0 {
            kept.push(event.id);
        }
    }
    Ok(kept)
}

async fn events(
    db: &ClientWrapper,
    filter: &EventFilter,
    order: EventOrder,
    page: &PageRequest,
) -> Result<Page<EventRow>, StoreError> {
    let (after, order) = order.sql();
    let rows = Select::new(
        "SELECT seq, id, at, kind, node, user_id, key_id, source, evidence
           FROM security_events WHERE true"
            .into(),
    )
    .and("kind = ?", filter.kind.map(|kind| kind.code()))
    .and("user_id = ?", filter.user_id)
    .and("at >= ?", filter.from)
    .and("at < ?", filter.to)
    .and(after, stored::number_cursor(page.after.as_deref())?)
    .rows(db, order, page.rows_to_read(), event)
    .await?;
    Ok(Page::cut(rows, page, |row| row.seq.to_string()))
}

async fn role_changes(db: &ClientWrapper, after: Option<u64>) -> Result<RoleChanges, StoreError> {
    let Some(after) = after else {
        let newest: i64 = value(db, "SELECT coalesce(max(seq), 0) FROM audit_log", &[]).await?;
        return Ok(RoleChanges { seq: newest.unsigned_abs(), ..RoleChanges::default() });
    };
    let mut changes = RoleChanges { seq: after, ..RoleChanges::default() };
    let sql = "SELECT seq, action, subject_id FROM audit_log
                WHERE seq > $1
                  AND (action IN ('add_roles', 'remove_role', 'update_role', 'delete_role')
                       OR action = 'update_user' AND before ->> 'roles' <> after ->> 'roles')
                ORDER BY seq LIMIT $2";
    all(db, sql, &[&(after as i64), &CHANGES], |row| {
        changes.seq = row.try_get::<_, i64>(0)?.unsigned_abs();
        changes.note(row.try_get(1)?, row.try_get(2)?)
    })
    .await?;
    Ok(changes)
}

async fn forget(
    db: &ClientWrapper,
    attempts: Timestamp,
    events: Timestamp,
) -> Result<(), StoreError> {
    transaction(db, BULK, async {
        run(db, "DELETE FROM failed_attempts WHERE updated_at < $1", &[&attempts]).await?;
        run(db, "DELETE FROM known_sources WHERE updated_at < $1", &[&attempts]).await?;
        let sql = "DELETE FROM lockouts WHERE updated_at < $1 AND until < $1";
        run(db, sql, &[&(attempts - SignedDuration::from_hours(24))]).await?;
        // The newest stays, so that numbers are never given twice.
        let sql = "DELETE FROM security_events
                    WHERE at < $1 AND seq < (SELECT max(seq) FROM security_events)";
        run(db, sql, &[&events]).await.map(drop)
    })
    .await
}

fn lock(row: &Row) -> Result<Lock, StoreError> {
    Ok(Lock {
        target: target(row)?,
        at: row.try_get("at")?,
        until: row.try_get("until")?,
        strikes: stored::strikes(row.try_get::<_, i16>("strikes")?.into()),
        cleared_at: row.try_get("cleared_at")?,
    })
}

fn target(row: &Row) -> Result<Target, StoreError> {
    let source: Option<Source> = stored::source(row.try_get("source")?)?;
    stored::target(row.try_get("kind")?, row.try_get("subject")?, source)
}

fn event(row: &Row) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        seq: row.try_get::<_, i64>("seq")?.unsigned_abs(),
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        node: row.try_get("node")?,
        user_id: row.try_get("user_id")?,
        key_id: row.try_get("key_id")?,
        source: row.try_get("source")?,
        evidence: row.try_get("evidence")?,
    })
}
