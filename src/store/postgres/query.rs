//! Statements through the cache of prepared ones, and the two kinds of transaction.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use crate::store::StoreError;

pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The row that `sql` finds, if there is one.
pub(super) async fn one<T>(
    db: &ClientWrapper,
    sql: &str,
    parameters: Parameters<'_>,
    read: impl FnOnce(&Row) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let statement = db.prepare_cached(sql).await?;
    db.query_opt(&statement, parameters).await?.as_ref().map(read).transpose()
}

/// All rows that `sql` finds.
pub(super) async fn all<T>(
    db: &ClientWrapper,
    sql: &str,
    parameters: Parameters<'_>,
    read: impl FnMut(&Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let statement = db.prepare_cached(sql).await?;
    db.query(&statement, parameters).await?.iter().map(read).collect()
}

/// The first column of the only row.
pub(super) async fn value<T: for<'a> FromSql<'a>>(
    db: &ClientWrapper,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<T, StoreError> {
    let statement = db.prepare_cached(sql).await?;
    Ok(db.query_one(&statement, parameters).await?.try_get(0)?)
}

/// Runs `sql` and answers with the number of rows that it touched.
pub(super) async fn run(
    db: &ClientWrapper,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<u64, StoreError> {
    let statement = db.prepare_cached(sql).await?;
    Ok(db.execute(&statement, parameters).await?)
}

/// Does `work` in a transaction whose statements may take `patience` each.
///
/// Whoever drops it midway must close the connection, as a lease does.
pub(super) async fn transaction<T>(
    db: &ClientWrapper,
    patience: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let patience = patience.as_millis();
    db.batch_execute(&format!("BEGIN; SET LOCAL statement_timeout = {patience}")).await?;
    let result = work.await;
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    db.batch_execute(end).await?;
    result
}

/// A list query that grows by the filters that were asked for, so that each can use its index.
pub(super) struct Select {
    sql: String,
    values: Vec<Box<dyn ToSql + Send + Sync>>,
}

impl Select {
    /// `sql` ends inside its WHERE clause.
    pub(super) fn new(sql: String) -> Self {
        Self { sql, values: Vec::new() }
    }

    /// Adds `AND condition`, in which one `?` stands for `value`, when there is a value.
    pub(super) fn and<T: ToSql + Send + Sync + 'static>(
        mut self,
        condition: &str,
        value: Option<T>,
    ) -> Self {
        let Some(value) = value else { return self };
        self.sql.push_str(" AND ");
        self.with(condition, value)
    }

    /// Goes on with `sql`, in which one `?` stands for `value`.
    pub(super) fn with<T: ToSql + Send + Sync + 'static>(mut self, sql: &str, value: T) -> Self {
        self.values.push(Box::new(value));
        self.sql.push_str(&sql.replace('?', &format!("${}", self.values.len())));
        self
    }

    /// The rows in the order of `key`, at most `limit`.
    pub(super) async fn rows<T>(
        mut self,
        db: &ClientWrapper,
        key: &str,
        limit: i64,
        read: impl FnMut(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.values.push(Box::new(limit));
        let end = format!(" ORDER BY {key} LIMIT ${}", self.values.len());
        self.all(db, &end, read).await
    }

    /// All rows of the query that ends with `end`.
    pub(super) async fn all<T>(
        mut self,
        db: &ClientWrapper,
        end: &str,
        read: impl FnMut(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.sql.push_str(end);
        let values: Vec<_> =
            self.values.iter().map(|value| value.as_ref() as &(dyn ToSql + Sync)).collect();
        all(db, &self.sql, &values, read).await
    }
}
