//! Logs, by kind: a page of one, and the whole of one as a file.
//!
//! A further kind is a variant here, with a `list` and an `export` of its own.

mod audit;

use axum::extract::State;
use http::Uri;

use super::{security, usage};
use crate::management::plane::Plane;
use crate::management::wire::{Answer, ApiError, Params};

#[derive(Clone, Copy)]
enum Kind {
    Audit,
    Security,
    Usage,
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "audit" => Some(Kind::Audit),
            "security" => Some(Kind::Security),
            "usage" => Some(Kind::Usage),
            _ => None,
        }
    }

    /// Every kind reads the other parameters by itself; this one says which does.
    fn of(uri: &Uri) -> Result<Self, ApiError> {
        let kind = Params::peek(uri, "kind")?;
        kind.as_deref().and_then(Kind::parse).ok_or_else(|| ApiError::InvalidParameter {
            field: "kind".into(),
            reason: "must be `audit`, `security` or `usage`".into(),
        })
    }
}

pub async fn list(State(plane): State<Plane>, uri: Uri) -> Answer {
    match Kind::of(&uri)? {
        Kind::Audit => audit::list(State(plane), uri).await,
        Kind::Security => security::logs::list_all(State(plane), uri).await,
        Kind::Usage => usage::logs(State(plane), uri).await,
    }
}

pub async fn export(State(plane): State<Plane>, uri: Uri) -> Answer {
    match Kind::of(&uri)? {
        Kind::Audit => audit::export(State(plane), uri).await,
        Kind::Security => security::logs::export(State(plane), uri).await,
        Kind::Usage => usage::export_logs(State(plane), uri).await,
    }
}
