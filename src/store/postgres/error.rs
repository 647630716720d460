use std::error::Error as _;

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::store::{StoreError, violation};

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => refused(refusal),
            None => StoreError::Unavailable(chain(&error)),
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                error.into()
            }
            // The only hook of ours checks that this is still the same store.
            PoolError::PostCreateHook(HookError::Message(message)) => {
                StoreError::Incompatible(message.into())
            }
            PoolError::Timeout(_) => StoreError::Unavailable("no connection in time".into()),
            PoolError::Closed | PoolError::NoRuntimeSpecified => {
                StoreError::Unavailable(error.to_string())
            }
        }
    }
}

/// What the server said no to. Its `DETAIL`, which quotes values, is left out.
fn refused(refusal: &DbError) -> StoreError {
    let code = refusal.code();
    let message = || format!("{} ({})", refusal.message(), code.code());
    if *code == SqlState::UNIQUE_VIOLATION || *code == SqlState::CHECK_VIOLATION {
        let broken = refusal.constraint().and_then(violation::of);
        return broken.unwrap_or_else(|| StoreError::Incompatible(message()));
    }
    if *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE || *code == SqlState::UNTRANSLATABLE_CHARACTER
    {
        return violation::NUL;
    }
    if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::UNDEFINED_COLUMN {
        return StoreError::Incompatible(format!("{}: run `gatepost migrate up`", message()));
    }
    StoreError::Unavailable(message())
}

/// The error and what it came from, on one line.
pub(super) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
