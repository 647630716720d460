//! Migrations of a Postgres database. The lock is an advisory one, held by each transaction.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;
use uuid::Uuid;

use super::address::Address;
use crate::clock;
use crate::key::{BUILT_IN_PERMISSIONS, BUILT_IN_ROLES};
use crate::store::StoreError;
use crate::store::migrate::{
    Applied, Migration, MigrationStatus, newest, next, random_id_key, report, statements,
};

/// Any number will do, as long as it stays the same.
const LOCK: i64 = 0x6761_7465_706f_7301;

/// How long to wait for a server that does not answer, or for another process that migrates.
const WAIT: Duration = Duration::from_secs(30);

/// The longest that one migration may take, on tables of any size.
const STEP: Duration = Duration::from_secs(3600);

pub async fn up(url: &str, known: &[Migration]) -> Result<Vec<String>, StoreError> {
    let mut session = Session::open(url).await?;
    let mut done = Vec::new();
    while let Some(migration) = session.step_up(known).await? {
        done.push(migration.full_name());
    }
    Ok(done)
}

pub async fn down(url: &str, known: &[Migration]) -> Result<Option<String>, StoreError> {
    let mut session = Session::open(url).await?;
    let step = Step::begin(&mut session.client).await?;
    let Some(migration) = newest(known, &applied(step.db).await?)? else { return Ok(None) };
    step.execute(migration, migration.down).await?;
    let sql = "DELETE FROM schema_versions WHERE version = $1";
    step.db.execute(sql, &[&(migration.version as i32)]).await?;
    step.commit().await?;
    Ok(Some(migration.full_name()))
}

pub async fn status(url: &str, known: &[Migration]) -> Result<Vec<MigrationStatus>, StoreError> {
    let session = Session::open(url).await?;
    report(known, &applied(&session.client).await?)
}

/// A connection of its own. A step that ends early is rolled back by the server when it closes.
struct Session {
    client: Client,
    reader: JoinHandle<()>,
}

impl Session {
    async fn open(url: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        let (client, connection) = timeout(WAIT, address.connect())
            .await
            .map_err(|_| StoreError::Unavailable("no answer in time".into()))??;
        let reader = tokio::spawn(async move {
            // Whoever waits for an answer on it is told of the failure.
            let _ = connection.await;
        });
        let limits = format!(
            "SET lock_timeout = {}; SET statement_timeout = {}",
            WAIT.as_millis(),
            STEP.as_millis()
        );
        client.batch_execute(&limits).await?;
        Ok(Self { client, reader })
    }

    /// Applies the next migration. When none is left it brings the built-in rows up to date, so
    /// that a newer version's list is followed.
    async fn step_up<'a>(
        &mut self,
        known: &'a [Migration],
    ) -> Result<Option<&'a Migration>, StoreError> {
        let step = Step::begin(&mut self.client).await?;
        let Some(migration) = next(known, &applied(step.db).await?)? else {
            step.seed().await?;
            step.commit().await?;
            return Ok(None);
        };
        step.execute(migration, migration.up).await?;
        let sql = "INSERT INTO schema_versions (version, name, checksum, applied_at)
                   VALUES ($1, $2, $3, $4)";
        let (version, checksum) = (migration.version as i32, migration.checksum());
        step.db.execute(sql, &[&version, &migration.name, &checksum, &clock::now()]).await?;
        if migration.version == 1 {
            step.found_instance().await?;
        }
        step.commit().await?;
        Ok(Some(migration))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// One transaction, under the lock.
struct Step<'a> {
    db: &'a Client,
}

impl<'a> Step<'a> {
    async fn begin(client: &'a mut Client) -> Result<Self, StoreError> {
        let lock = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})");
        client.batch_execute(&lock).await?;
        Ok(Self { db: client })
    }

    async fn commit(self) -> Result<(), StoreError> {
        Ok(self.db.batch_execute("COMMIT").await?)
    }

    async fn execute(&self, migration: &Migration, sql: &str) -> Result<(), StoreError> {
        self.db
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS schema_versions (
                     version    integer     PRIMARY KEY,
                     name       text        NOT NULL,
                     checksum   text        NOT NULL,
                     applied_at timestamptz NOT NULL
                 );
                 COMMENT ON TABLE schema_versions IS 'The migrations that were applied';
                 COMMENT ON COLUMN schema_versions.version IS 'The number of the file';
                 COMMENT ON COLUMN schema_versions.name IS 'The name of the file';
                 COMMENT ON COLUMN schema_versions.checksum IS 'SHA-256 of the file, in hex';
                 COMMENT ON COLUMN schema_versions.applied_at IS 'When'",
            )
            .await?;
        for (n, statement) in statements(sql).enumerate() {
            if let Err(error) = self.db.batch_execute(statement).await {
                let cause = StoreError::from(error).to_string();
                return Err(migration.failed(n + 1, statement, &cause));
            }
        }
        Ok(())
    }

    async fn found_instance(&self) -> Result<(), StoreError> {
        let sql = "INSERT INTO instance (id, id_key, created_at) VALUES ($1, $2, $3)";
        let id_key = random_id_key()?;
        self.db.execute(sql, &[&Uuid::new_v4(), &id_key.as_slice(), &clock::now()]).await?;
        Ok(())
    }

    async fn seed(&self) -> Result<(), StoreError> {
        let now = clock::now();
        for (name, category, description) in BUILT_IN_PERMISSIONS {
            let sql = "INSERT INTO permissions (name, category, description, built_in, created_at)
                       VALUES ($1, $2, $3, true, $4)
                       ON CONFLICT (name) DO UPDATE SET category = excluded.category,
                           description = excluded.description, built_in = true";
            self.db.execute(sql, &[name, category, description, &now]).await?;
        }
        for (name, description, patterns) in BUILT_IN_ROLES {
            let sql = "INSERT INTO roles (name, description, built_in, created_at, updated_at)
                       VALUES ($1, $2, true, $3, $3)
                       ON CONFLICT (name) DO UPDATE SET description = excluded.description,
                           built_in = true";
            self.db.execute(sql, &[name, description, &now]).await?;
            self.db.execute("DELETE FROM role_permissions WHERE role = $1", &[name]).await?;
            let sql = "INSERT INTO role_permissions (role, pattern) SELECT $1, unnest($2::text[])";
            self.db.execute(sql, &[name, patterns]).await?;
        }
        Ok(())
    }
}

async fn applied(db: &Client) -> Result<Vec<Applied>, StoreError> {
    // The table may be missing, and looking must not make it.
    let exists = "SELECT to_regclass('schema_versions') IS NOT NULL";
    if !db.query_one(exists, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT version, checksum, applied_at FROM schema_versions ORDER BY version";
    let rows = db.query(sql, &[]).await?;
    let read = |row: &tokio_postgres::Row| {
        let version: i32 = row.try_get(0)?;
        Ok(Applied { version: version as u32, checksum: row.try_get(1)?, at: row.try_get(2)? })
    };
    rows.iter().map(read).collect()
}
