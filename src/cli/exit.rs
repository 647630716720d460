use std::process::ExitCode;

use crate::server::ServeError;
use crate::store::StoreError;

/// How a command ends. Clap itself ends a wrong usage with 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Failure = 1,
    Usage = 2,
    InvalidConfig = 3,
    NotFound = 4,
    StoreUnreachable = 5,
    MigrationsPending = 6,
    Denied = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// A command that could not do its work, and why.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    pub exit: Exit,
    message: String,
}

impl Failed {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failure, format!("error: cannot write to stdout: {error}"))
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::Unavailable(_) => Exit::StoreUnreachable,
            StoreError::NotFound { .. } => Exit::NotFound,
            StoreError::Conflict { .. }
            | StoreError::Protected(_)
            | StoreError::Invalid(_)
            | StoreError::Stale
            | StoreError::Repeated
            | StoreError::Incompatible(_) => Exit::Failure,
        };
        Self::new(exit, format!("error: {error}"))
    }
}

impl From<ServeError> for Failed {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Store(error) => error.into(),
            ServeError::SecretKey(error) => {
                let hint = error.hint();
                Self::new(Exit::InvalidConfig, format!("error: {error}\n  hint: {hint}"))
            }
            ServeError::MigrationsPending(_) => {
                Self::new(Exit::MigrationsPending, format!("error: {error}"))
            }
            ServeError::Listen { .. }
            | ServeError::Proxy(_)
            | ServeError::Runtime(_)
            | ServeError::Spool(_) => Self::new(Exit::Failure, format!("error: {error}")),
            ServeError::Limits(_) => Self::new(Exit::InvalidConfig, format!("error: {error}")),
        }
    }
}
