use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Chunks that a client is behind with; whoever writes waits for it.
const BEHIND: usize = 4;

/// A body that is written while it is sent. The writer ends when the client is gone.
pub struct Streamed(Receiver<io::Result<Bytes>>);

pub fn streamed<F>(write: impl FnOnce(Sender<io::Result<Bytes>>) -> F) -> Streamed
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = channel(BEHIND);
    tokio::spawn(write(sender));
    Streamed(receiver)
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}
