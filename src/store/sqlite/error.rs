use rusqlite::{Error, ErrorCode};

use crate::store::{StoreError, violation};

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::SqliteFailure(code, Some(message)) => failure(code.code, message),
            Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) => {
                StoreError::Incompatible(error.to_string())
            }
            _ => StoreError::Unavailable(error.to_string()),
        }
    }
}

fn failure(code: ErrorCode, message: &str) -> StoreError {
    match code {
        ErrorCode::ConstraintViolation => violated(message),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            StoreError::Unavailable("another process is writing".into())
        }
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown => {
            StoreError::Incompatible(message.into())
        }
        _ => StoreError::Unavailable(message.into()),
    }
}

/// `CHECK constraint failed: NAME`, `UNIQUE constraint failed: TABLE.COLUMN`
fn violated(message: &str) -> StoreError {
    let name = message.rsplit(": ").next().unwrap_or_default();
    violation::of(name).unwrap_or_else(|| StoreError::Incompatible(message.into()))
}
