use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts as Head;
use uuid::Uuid;

use super::ApiError;

/// The `{id}` of a path. What is no id names nothing: 404, as for an id that nobody has.
pub struct Id(pub Uuid);

/// The `{name}` of a path.
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Head, state: &S) -> Result<Self, ApiError> {
        parse_id(&param(head, state, "id").await?).map(Id).ok_or(ApiError::NotFound)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Head, state: &S) -> Result<Self, ApiError> {
        param(head, state, "name").await.map(Named)
    }
}

async fn param<S: Send + Sync>(head: &mut Head, state: &S, name: &str) -> Result<String, ApiError> {
    let params = RawPathParams::from_request_parts(head, state).await;
    let params = params.map_err(|_| ApiError::NotFound)?;
    let value = params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
    value.ok_or_else(|| ApiError::internal(format!("an operation's path has no {{{name}}}")))
}

/// The one spelling in which we give ids out, so that one thing has one path.
pub fn parse_id(text: &str) -> Option<Uuid> {
    let id = Uuid::parse_str(text).ok()?;
    (id.as_hyphenated().to_string() == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = "0192f3a0-0000-7000-8000-0000000000ab";
        assert_eq!(parse_id(id).map(|id| id.to_string()).as_deref(), Some(id));
        for other in [
            "0192F3A0-0000-7000-8000-0000000000AB",
            "0192f3a0000070008000000000000ab0",
            "{0192f3a0-0000-7000-8000-0000000000ab}",
            "urn:uuid:0192f3a0-0000-7000-8000-0000000000ab",
            "7",
            "",
        ] {
            assert!(parse_id(other).is_none(), "{other}");
        }
    }
}
