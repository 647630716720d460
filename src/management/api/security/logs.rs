use axum::extract::State;
use http::Uri;
use serde_json::Value;

use super::view::EventView;
use crate::lockout::EventKind;
use crate::management::plane::Plane;
use crate::management::wire::{
    Answer, ApiError, AsyncPage, Format, Line, ListKey, Params, list, parse_id, stream,
};
use crate::store::{EventFilter, EventOrder, EventRow, PageRequest};

/// Rows that an export reads at a time.
const PAGE: usize = 200;

/// The newest first.
pub async fn list_all(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, page) =
        Params::read(&uri, |params| Ok((filter(params)?, params.page(ListKey::Number)?)))?;
    let page = plane.store().events(&filter, EventOrder::NewestFirst, &page).await?;
    list(page, EventView::new)
}

/// All of them, the oldest first.
pub async fn export(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, format) =
        Params::read(&uri, |params| Ok((filter(params)?, Format::read(params)?)))?;
    let columns = COLUMNS.map(|name| (name, Value::Null)).to_vec();
    let page = PageRequest { limit: PAGE, after: None };
    stream("security", format, columns, Pages { plane, filter, page: Some(page) }).await
}

const COLUMNS: [&str; 9] =
    ["seq", "id", "at", "kind", "node", "user_id", "key_id", "source", "evidence"];

fn line(row: EventRow) -> Line {
    let mut view = serde_json::to_value(EventView::new(row)).unwrap_or_default();
    COLUMNS.into_iter().map(|name| (name, view[name].take())).collect()
}

struct Pages {
    plane: Plane,
    filter: EventFilter,
    /// The one to be read.
    page: Option<PageRequest>,
}

impl AsyncPage for Pages {
    async fn next(&mut self) -> Result<Option<Vec<Line>>, ApiError> {
        let Some(page) = self.page.take() else { return Ok(None) };
        let read = self.plane.store().events(&self.filter, EventOrder::OldestFirst, &page).await?;
        self.page = read.next.map(|after| PageRequest { after: Some(after), ..page });
        Ok(Some(read.rows.into_iter().map(line).collect()))
    }
}

fn filter(params: &mut Params) -> Result<EventFilter, ApiError> {
    params.optional("kind", "security", |text| (text == "security").then_some(()))?;
    Ok(EventFilter {
        kind: params.optional("event", "the code of an event", EventKind::parse)?,
        user_id: params.optional("user_id", "a user's id", parse_id)?,
        from: params.time("from")?,
        to: params.time("to")?,
    })
}
