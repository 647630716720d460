//! The sample API behind the demo's gateway. It trusts anyone who can reach it, as such APIs do.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};

type Table = Arc<Mutex<BTreeMap<u64, Value>>>;

/// Orders and users, in memory: list, read and delete, and `/health`.
pub fn sample_api() -> Router {
    let orders = (1..=9).map(|id| (id, json!({"id": id, "item": item(id), "quantity": id})));
    let users = [(1, "ada"), (2, "grace"), (3, "edsger")];
    let users = users.map(|(id, name)| (id, json!({"id": id, "name": name})));
    Router::new()
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .nest("/api/v1/orders", table(orders.collect()))
        .nest("/api/v1/users", table(users.into()))
}

fn item(id: u64) -> &'static str {
    ["lamp", "chair", "table"][(id % 3) as usize]
}

fn table(rows: BTreeMap<u64, Value>) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/{id}", get(read).delete(delete))
        .with_state(Arc::new(Mutex::new(rows)))
}

/// The list, and who the gateway says is asking.
async fn list(State(table): State<Table>, headers: HeaderMap) -> Json<Value> {
    let rows: Vec<Value> = table.lock().values().cloned().collect();
    let caller = headers.get("x-gatepost-user-id").and_then(|id| id.to_str().ok());
    Json(json!({"data": rows, "called_by": caller}))
}

async fn read(State(table): State<Table>, Path(id): Path<u64>) -> Result<Json<Value>, StatusCode> {
    table.lock().get(&id).cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn delete(
    State(table): State<Table>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, StatusCode> {
    table.lock().remove(&id).map(|row| Json(json!({"deleted": row}))).ok_or(StatusCode::NOT_FOUND)
}
