//! A TCP relay in front of a server, which can lose the answer to a COMMIT.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

pub struct Relay {
    pub addr: SocketAddr,
    cut: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
}

impl Relay {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let (cut, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let relay = Self { addr, cut: cut.clone(), left: left.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(server).await {
                    tokio::spawn(carry(client, server, left.clone(), cut.clone()));
                }
            }
        });
        relay
    }

    /// The next `count` transactions with a COPY are committed, but nobody is told.
    pub fn lose_commits(&self, count: usize) {
        self.left.store(count, Ordering::SeqCst);
    }

    /// Connections cut so far.
    pub fn cut(&self) -> usize {
        self.cut.load(Ordering::SeqCst)
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    left: Arc<AtomicUsize>,
    cut: Arc<AtomicUsize>,
) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let forth = async {
        let mut buffer = vec![0; 64 * 1024];
        let mut copied = false;
        while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
            copied |= holds(&buffer[..n], b"COPY api_usage");
            let is_end = copied && holds(&buffer[..n], b"COMMIT");
            let take_one = |left: usize| left.checked_sub(1);
            if is_end && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one).is_ok() {
                // From here on the client hears nothing any more.
                return Some(buffer[..n].to_vec());
            }
            if to_server.write_all(&buffer[..n]).await.is_err() {
                break;
            }
        }
        None
    };
    let last = tokio::select! {
        last = forth => last,
        _ = copy(&mut from_server, &mut to_client) => None,
    };
    if let Some(commit) = last {
        let _ = server.write_all(&commit).await;
        // Long enough for the server to commit, which its answer shows.
        let _ = tokio::time::timeout(Duration::from_secs(2), server.read(&mut [0; 64])).await;
        cut.fetch_add(1, Ordering::SeqCst);
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
