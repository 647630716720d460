//! The API's own description, and the pages that show it: everything comes from this program.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};

use crate::management::openapi;
use crate::management::plane::Plane;
use crate::management::wire::{Answer, ApiError, Named, ok};

/// Scripts and styles of this listener alone. Swagger UI draws its icons from `data:` images and
/// sets single styles on elements; it needs no inline script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gatepost management API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"#;

/// No validator: it would send the document to a stranger.
const START: &str = r##"SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"##;

pub async fn document() -> Answer {
    Ok(Json(openapi::document()).into_response())
}

/// What the assertions that upstreams get are checked with.
pub async fn key_set(State(plane): State<Plane>) -> Answer {
    ok(plane.parts.assertions.key_set())
}

pub async fn page() -> Answer {
    Ok(guarded(Html(PAGE).into_response()))
}

pub async fn file(Named(name): Named) -> Answer {
    match &*name {
        "start.js" => Ok(guarded(([(CONTENT_TYPE, "text/javascript")], START).into_response())),
        "swagger-ui.css" | "swagger-ui-bundle.js" => vendored(&name).map(guarded),
        _ => Err(ApiError::NotFound),
    }
}

fn vendored(name: &str) -> Answer {
    let config = Arc::new(utoipa_swagger_ui::Config::from("/openapi.json"));
    let file = utoipa_swagger_ui::serve(name, config).map_err(ApiError::internal)?;
    let file = file.ok_or(ApiError::NotFound)?;
    Ok(([(CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response())
}

fn guarded(mut page: Response) -> Response {
    page.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    page
}
