use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use http::request::Parts as Head;
use tokio::time::{Instant, sleep};

use super::view::EventView;
use crate::management::plane::Plane;
use crate::management::wire::{Answer, ApiError, streamed};
use crate::store::{EventFilter, EventOrder, PageRequest};

/// How often the store is asked for new events, which any node may have noticed.
const EVERY: Duration = Duration::from_secs(1);

/// A comment keeps proxies in between from taking a quiet stream for a dead one.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// After this the client asks again, with its key: one that was revoked hears no more.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Events that are sent at a time.
const PAGE: usize = 100;

/// Events as they come (server-sent). `Last-Event-ID` goes on from there.
pub async fn follow(State(plane): State<Plane>, head: Head) -> Answer {
    let seat = Arc::clone(&plane.listeners).try_acquire_owned();
    let seat = seat.map_err(|_| ApiError::TooManyListeners)?;
    let last = head.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let filter = EventFilter::default();
    let mut after: u64 = match last {
        Some(last) => last,
        None => {
            let page = PageRequest { limit: 1, after: None };
            let newest = plane.store().events(&filter, EventOrder::NewestFirst, &page).await?;
            newest.rows.first().map_or(0, |row| row.seq)
        }
    };
    let body = streamed(async move |sender| {
        let _seat = seat;
        let (born, mut spoke) = (Instant::now(), Instant::now());
        if sender.send(Ok(Bytes::from_static(b": connected\n\n"))).await.is_err() {
            return;
        }
        while born.elapsed() < LONGEST && !plane.parts.health.is_draining() {
            let page = PageRequest { limit: PAGE, after: Some(after.to_string()) };
            let news = plane.store().events(&filter, EventOrder::OldestFirst, &page).await;
            // A store that is away is asked again; the stream goes on where it was.
            let mut text: String = news
                .map_or_else(|_| Vec::new(), |news| news.rows)
                .into_iter()
                .map(|row| {
                    after = row.seq;
                    message(&EventView::new(row))
                })
                .collect();
            if text.is_empty() && spoke.elapsed() >= HEARTBEAT {
                text.push_str(": quiet\n\n");
            }
            if !text.is_empty() {
                spoke = Instant::now();
                if sender.send(Ok(Bytes::from(text))).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                () = sender.closed() => return,
            }
        }
    });
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::new(body)).into_response())
}

fn message(view: &EventView) -> String {
    let data = serde_json::to_string(view).unwrap_or_default();
    format!("id: {}\nevent: security\ndata: {data}\n\n", view.seq)
}
