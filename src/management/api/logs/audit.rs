//! Who changed what.

use axum::extract::State;
use http::Uri;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::management::plane::Plane;
use crate::management::wire::{
    self, Answer, ApiError, AsyncPage, Format, Line, ListKey, Params, parse_id, stream,
};
use crate::store::{AuditFilter, AuditRow, Order, PageRequest};

#[derive(Serialize)]
struct AuditView {
    seq: u64,
    at: Timestamp,
    action: String,
    /// Null, as is the key: the command line, straight on the store.
    actor_user_id: Option<String>,
    actor_key_id: Option<String>,
    actor_ip: Option<String>,
    request_id: Option<String>,
    subject_kind: String,
    subject_id: String,
    before: Option<Value>,
    after: Option<Value>,
    mac: String,
}

impl From<AuditRow> for AuditView {
    fn from(AuditRow { seq, entry, mac }: AuditRow) -> Self {
        Self {
            seq,
            at: entry.at,
            action: entry.action,
            actor_user_id: entry.actor_user_id,
            actor_key_id: entry.actor_key_id,
            actor_ip: entry.actor_ip,
            request_id: entry.request_id,
            subject_kind: entry.subject_kind,
            subject_id: entry.subject_id,
            before: entry.before.map(read_json),
            after: entry.after.map(read_json),
            mac: mac.to_string(),
        }
    }
}

/// What is no JSON was not written by us: it is shown as it is.
fn read_json(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

pub(super) async fn list(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, page) =
        Params::read(&uri, |params| Ok((read_filter(params)?, params.page(ListKey::Number)?)))?;
    let page = plane.store().audit(&filter, Order::NewestFirst, &page).await?;
    wire::list(page, AuditView::from)
}

fn read_filter(params: &mut Params) -> Result<AuditFilter, ApiError> {
    params.text("kind")?;
    Ok(AuditFilter {
        action: params.text("action")?,
        actor_user_id: params.optional("actor_user_id", "a user's id", parse_id)?,
        subject_kind: params.text("subject_kind")?,
        subject_id: params.text("subject_id")?,
        from: params.time("from")?,
        to: params.time("to")?,
    })
}

/// The log from its oldest row on.
pub(super) async fn export(State(plane): State<Plane>, uri: Uri) -> Answer {
    let (filter, format) =
        Params::read(&uri, |params| Ok((read_filter(params)?, Format::read(params)?)))?;
    let columns = COLUMNS.map(|name| (name, Value::Null)).to_vec();
    stream("audit", format, columns, Pages { plane, filter, next: Next::First }).await
}

struct Pages {
    plane: Plane,
    filter: AuditFilter,
    next: Next,
}

/// The page to be read.
enum Next {
    First,
    After(String),
    None,
}

impl AsyncPage for Pages {
    async fn next(&mut self) -> Result<Option<Vec<Line>>, ApiError> {
        let after = match std::mem::replace(&mut self.next, Next::None) {
            Next::First => None,
            Next::After(seq) => Some(seq),
            Next::None => return Ok(None),
        };
        let page = PageRequest { limit: PAGE, after };
        let page = self.plane.store().audit(&self.filter, Order::OldestFirst, &page).await?;
        self.next = page.next.map_or(Next::None, Next::After);
        Ok(Some(page.rows.into_iter().map(line).collect()))
    }
}

/// As many as the store gives at a time.
const PAGE: usize = 200;

const COLUMNS: [&str; 12] = [
    "seq",
    "at",
    "action",
    "actor_user_id",
    "actor_key_id",
    "actor_ip",
    "request_id",
    "subject_kind",
    "subject_id",
    "before",
    "after",
    "mac",
];

fn line(row: AuditRow) -> Line {
    let mut view = serde_json::to_value(AuditView::from(row)).unwrap_or_default();
    COLUMNS.into_iter().map(|name| (name, view[name].take())).collect()
}
