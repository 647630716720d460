//! An upstream that keeps the bytes it is sent as they came. A server library would have repaired
//! or refused them before a test could look.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it says to a request, by the request's target.
pub type Script = fn(&str) -> Vec<u8>;

#[derive(Clone)]
pub struct Recorder {
    pub addr: SocketAddr,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    /// Answers `200 ok` to whatever comes.
    pub async fn start() -> Self {
        Self::saying(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()).await
    }

    pub async fn saying(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let recorder = Self { addr, bytes: Arc::default() };
        let bytes = Arc::clone(&recorder.bytes);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&bytes), script));
            }
        });
        recorder
    }

    /// Every byte since the last time, as it came.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.bytes.lock())
    }
}

async fn serve(mut stream: TcpStream, bytes: Arc<Mutex<Vec<u8>>>, script: Script) {
    let mut unread = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        while let Some((target, length)) = first_request(&unread) {
            unread.drain(..length);
            let answer = script(&target);
            // An empty answer is to close without one.
            if answer.is_empty() || stream.write_all(&answer).await.is_err() {
                return;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read @ 1..) => {
                bytes.lock().extend_from_slice(&buffer[..read]);
                unread.extend_from_slice(&buffer[..read]);
            }
            Ok(_) | Err(_) => return,
        }
    }
}

/// The target of the first whole request in `bytes`, and where it ends.
fn first_request(bytes: &[u8]) -> Option<(String, usize)> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let target = text.split(' ').nth(1)?.to_owned();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    };
    let body = match (value("content-length:"), value("transfer-encoding:")) {
        (Some(length), _) => length.parse().ok()?,
        (None, Some(_)) => find(&bytes[head..], b"0\r\n\r\n")? + 5,
        (None, None) => 0,
    };
    (bytes.len() >= head + body).then_some((target, head + body))
}

pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
