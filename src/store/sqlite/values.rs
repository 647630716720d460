//! How our types are kept in SQLite, which has only integers, text and bytes.

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, Row};
use uuid::Uuid;

use crate::store::StoreError;

/// Microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy)]
pub(super) struct Micros(pub Timestamp);

impl ToSql for Micros {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_microsecond().into())
    }
}

impl FromSql for Micros {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Timestamp::from_microsecond(value.as_i64()?).map(Self).map_err(FromSqlError::other)
    }
}

/// A UUID in its usual text form, for people who look into the file.
#[derive(Clone, Copy)]
pub(super) struct Id(pub Uuid);

impl ToSql for Id {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl FromSql for Id {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Uuid::parse_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

/// A JSON array of strings.
pub(super) struct List(pub Vec<String>);

impl List {
    pub(super) fn of<T: ToString>(items: &[T]) -> Self {
        Self(items.iter().map(T::to_string).collect())
    }
}

impl ToSql for List {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(&self.0)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(text.into())
    }
}

impl FromSql for List {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

pub(super) struct Json(pub serde_json::Value);

impl ToSql for Json {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.to_string().into())
    }
}

impl FromSql for Json {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}

/// The row that `sql` finds, if there is one.
pub(super) fn one<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// All rows that `sql` finds.
pub(super) fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    db.prepare_cached(sql)?.query_and_then(params, read)?.collect()
}

/// The first column of the only row.
pub(super) fn value<T: FromSql>(
    db: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<T, StoreError> {
    Ok(db.prepare_cached(sql)?.query_row(params, |row| row.get(0))?)
}

/// Runs `sql` and answers with the number of rows that it touched.
pub(super) fn run(db: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    Ok(db.prepare_cached(sql)?.execute(params)?)
}
