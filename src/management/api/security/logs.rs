use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::IntoResponse;
use http::Uri;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use jiff::Timestamp;

use super::view::EventView;
use crate::lockout::EventKind;
use crate::management::plane::{ControlPlane, Plane};
use crate::management::wire::{Answer, ApiError, ListKey, Params, list, parse_id, streamed};
use crate::store::{EventFilter, EventOrder, PageRequest};

/// Rows that an export reads at a time.
const PAGE: usize = 200;

/// The newest first.
pub async fn list_all(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, page) =
        Params::read(&uri, |params| Ok((filter(params)?, params.page(ListKey::Number)?)))?;
    let page = plane.store().events(&filter, EventOrder::NewestFirst, &page).await?;
    list(page, EventView::new)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Ndjson,
    Csv,
}

/// All of them, the oldest first, a page at a time: no export is ever whole in memory.
pub async fn export(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, format) = Params::read(&uri, |params| {
        let format = params.optional("format", "ndjson or csv", |text| match text {
            "ndjson" => Some(Format::Ndjson),
            "csv" => Some(Format::Csv),
            _ => None,
        })?;
        Ok((filter(params)?, format.unwrap_or(Format::Ndjson)))
    })?;
    let (mime, name) = match format {
        Format::Ndjson => ("application/x-ndjson", "attachment; filename=\"security.ndjson\""),
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"security.csv\""),
    };
    // The first page decides whether there is an answer at all.
    let mut page = PageRequest { limit: PAGE, after: None };
    let first = lines(&plane, &filter, format, &mut page).await?;
    let body = streamed(async move |sender| {
        let header = if format == Format::Csv { EventView::COLUMNS } else { "" };
        let mut text = format!("{header}{first}");
        loop {
            if !text.is_empty() && sender.send(Ok(Bytes::from(text))).await.is_err() {
                return;
            }
            if page.after.is_none() {
                return;
            }
            text = match lines(&plane, &filter, format, &mut page).await {
                Ok(text) => text,
                // Broken off, so that half an export is not taken for a whole one.
                Err(error) => {
                    let _ = sender.send(Err(io::Error::other(error.code()))).await;
                    return;
                }
            };
        }
    });
    let headers = [(CONTENT_TYPE, mime), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::new(body)).into_response())
}

/// The next page as text; `page` goes on to the one after it, if there is one.
async fn lines(
    plane: &ControlPlane,
    filter: &EventFilter,
    format: Format,
    page: &mut PageRequest,
) -> Result<String, ApiError> {
    let read = plane.store().events(filter, EventOrder::OldestFirst, page).await?;
    page.after = read.next;
    let line = |view: EventView| match format {
        Format::Csv => Ok(view.csv()),
        Format::Ndjson => {
            let json = serde_json::to_string(&view).map_err(ApiError::internal)?;
            Ok(format!("{json}\n"))
        }
    };
    read.rows.into_iter().map(EventView::new).map(line).collect()
}

fn filter(params: &mut Params) -> Result<EventFilter, ApiError> {
    params.optional("kind", "security", |text| (text == "security").then_some(()))?;
    let time = |text: &str| text.parse::<Timestamp>().ok();
    Ok(EventFilter {
        kind: params.optional("event", "the code of an event", EventKind::parse)?,
        user_id: params.optional("user_id", "a user's id", parse_id)?,
        from: params.optional("from", "a time (RFC 3339)", time)?,
        to: params.optional("to", "a time (RFC 3339)", time)?,
    })
}
