use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::{ApiError, Members};

const MAX_BODY: usize = 256 * 1024;
/// For a whole body to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// A body, parsed: it exists only valid.
pub struct Parsed<T>(pub T);

pub trait FromMembers: Sized {
    /// Whether an absent body means one without members.
    const MAY_BE_ABSENT: bool = false;

    fn from_members(members: &mut Members) -> Result<Self, ApiError>;
}

impl<T: FromMembers, S: Send + Sync> FromRequest<S> for Parsed<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let is_json = is_json(&head.headers);
        let json = collect(body).await?;
        if json.is_empty() && T::MAY_BE_ABSENT {
            return Members::read(b"{}", T::from_members).map(Parsed);
        }
        // A form that a browser sends across origins without asking is never JSON.
        if !is_json {
            return Err(ApiError::UnsupportedMediaType);
        }
        Members::read(&json, T::from_members).map(Parsed)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = media_type.unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let is_known = ["application/json", "application/merge-patch+json"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(essence));
    is_known && parts.all(is_utf8)
}

/// Whether a parameter of a media type leaves JSON what it is: UTF-8 (RFC 8259).
fn is_utf8(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return true };
    !name.trim().eq_ignore_ascii_case("charset")
        || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
}

/// A whole body, within a size and a time.
pub async fn collect(body: Body) -> Result<Bytes, ApiError> {
    let whole = timeout(BODY_DEADLINE, Limited::new(body, MAX_BODY).collect()).await;
    match whole.map_err(|_| ApiError::BodyTimeout)? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::BodyTooLarge),
        Err(_) => Err(ApiError::InvalidBody {
            field: None,
            reason: "The body broke off or is not framed as it says".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl FromMembers for Nothing {
        const MAY_BE_ABSENT: bool = true;

        fn from_members(_: &mut Members) -> Result<Self, ApiError> {
            Ok(Nothing)
        }
    }

    async fn send(media_type: &str, body: impl Into<Body>) -> Result<(), ApiError> {
        let request = Request::builder().header(CONTENT_TYPE, media_type);
        let request = request.body(body.into()).unwrap();
        Parsed::<Nothing>::from_request(request, &()).await.map(|_| ())
    }

    #[tokio::test]
    async fn json_is_taken_under_its_names_alone() {
        for media_type in [
            "application/json",
            "Application/JSON; charset=\"UTF-8\"",
            "application/merge-patch+json",
        ] {
            assert!(send(media_type, "{}").await.is_ok(), "{media_type}");
        }
        for media_type in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "text/json",
            "application/json; charset=utf-16",
        ] {
            let answer = send(media_type, "{}").await;
            assert!(matches!(answer, Err(ApiError::UnsupportedMediaType)), "{media_type}");
        }
    }

    #[tokio::test]
    async fn a_body_is_bounded_whatever_it_says_of_itself() {
        let fits = format!("{{}}{}", " ".repeat(MAX_BODY - 2));
        assert!(send("application/json", fits.clone()).await.is_ok());
        let answer = send("application/json", fits + " ").await;
        assert!(matches!(answer, Err(ApiError::BodyTooLarge)));
    }

    #[tokio::test]
    async fn a_body_that_may_be_absent_needs_no_type() {
        assert!(send("text/plain", "").await.is_ok());
    }
}
