//! Any number of rows as NDJSON or CSV, a page in memory at a time.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http_body_util::channel::{Channel, Sender};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{ApiError, Params};

/// Pages that wait for a client that reads slowly.
const WAITING: usize = 2;

/// A client that reads nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Ndjson,
    Csv,
}

impl Format {
    /// The parameter `format`.
    pub fn read(params: &mut Params) -> Result<Self, ApiError> {
        let format = params.optional("format", "ndjson or csv", |text| match text {
            "ndjson" => Some(Format::Ndjson),
            "csv" => Some(Format::Csv),
            _ => None,
        })?;
        Ok(format.unwrap_or(Format::Ndjson))
    }
}

/// One line: the columns, in order, and what this row has in each.
pub type Line = Vec<(&'static str, Value)>;

/// Answers with everything that `page` gives until it gives `None`. An error after the first page
/// breaks the answer off, so that nobody takes a part for the whole.
pub async fn stream<P>(
    name: &str,
    format: Format,
    columns: Line,
    mut page: P,
) -> Result<Response, ApiError>
where
    P: AsyncPage + Send + 'static,
{
    let first = page.next().await?;
    let (mut sender, body) = Channel::<Bytes, ApiFailure>::new(WAITING);
    tokio::spawn(async move {
        let mut lines = first;
        if format == Format::Csv && !send(&mut sender, heading(&columns)).await {
            return;
        }
        while let Some(rows) = lines {
            let text: String = rows.iter().map(|line| text(format, line)).collect();
            if !text.is_empty() && !send(&mut sender, text).await {
                return;
            }
            lines = match page.next().await {
                Ok(lines) => lines,
                Err(error) => {
                    tracing::error!(cause = error.cause(), "an export broke off");
                    return sender.abort(ApiFailure);
                }
            };
        }
    });
    let (media, extension) = match format {
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    let disposition = format!("attachment; filename=\"{name}.{extension}\"");
    let headers = [(CONTENT_TYPE, media.to_owned()), (CONTENT_DISPOSITION, disposition)];
    Ok((headers, Body::new(body)).into_response())
}

/// Where rows come from, a bounded number at a time.
pub trait AsyncPage {
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<Line>>, ApiError>> + Send;
}

/// The client is told by a broken answer, the log by a line.
#[derive(Debug, thiserror::Error)]
#[error("the export broke off")]
struct ApiFailure;

/// Whether the client is still there.
async fn send(sender: &mut Sender<Bytes, ApiFailure>, text: String) -> bool {
    let sent = timeout(PATIENCE, sender.send_data(Bytes::from(text)));
    matches!(sent.await, Ok(Ok(())))
}

fn heading(columns: &Line) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    names.join(",") + "\r\n"
}

fn text(format: Format, line: &Line) -> String {
    match format {
        Format::Ndjson => {
            let object: Map<_, _> =
                line.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            Value::Object(object).to_string() + "\n"
        }
        Format::Csv => {
            let cells: Vec<_> = line.iter().map(|(_, value)| cell(value)).collect();
            cells.join(",") + "\r\n"
        }
    }
}

/// RFC 4180. What a spreadsheet would take for a formula is made text: paths come from strangers.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::Bool(_) | Value::Number(_) => return value.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if guard.is_empty() && !text.contains(['"', ',', '\r', '\n']) {
        return text;
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"] {
            assert_eq!(cell(&json!(formula)), format!("\"'{formula}\""));
        }
        assert_eq!(cell(&json!(-1)), "-1", "a number is one");
    }

    #[test]
    fn a_cell_keeps_what_it_holds() {
        assert_eq!(cell(&json!("/orders/7")), "/orders/7");
        assert_eq!(cell(&json!("a,\"b\"")), "\"a,\"\"b\"\"\"");
        assert_eq!(cell(&Value::Null), "");
        assert_eq!(cell(&json!({"a": 1})), "\"{\"\"a\"\":1}\"");
    }
}
