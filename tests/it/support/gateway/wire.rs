//! Bytes as they are.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends them, and returns what comes back; see [`read_quiet`].
pub async fn raw(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    stream.write_all(bytes).await.expect("it reads");
    read_quiet(&mut stream).await
}

/// What comes until the end, or until nothing more comes for a moment after something came.
pub async fn read_quiet(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0u8; 8192];
    let mut patience = Duration::from_secs(5);
    while let Ok(Ok(n)) = tokio::time::timeout(patience, stream.read(&mut buffer)).await {
        if n == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..n]);
        patience = Duration::from_millis(150);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
