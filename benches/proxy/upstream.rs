//! The upstream: answers every request at once, so that it is never what is measured.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Error;

/// A request head that is longer is not one of ours.
const MAX_HEAD: usize = 16 * 1024;

const BODY: &str = r#"{"id":7,"customer":"Ada Lovelace","placed":"2026-01-05T10:00:00Z","state":"shipped","items":[{"sku":"A-100","count":2,"price":"12.50"},{"sku":"B-200","count":1,"price":"30.00"}],"total":"55.00"}"#;

pub fn serve(listen: SocketAddr) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
            BODY.len()
        );
        // Lives as long as the process.
        let answer: &'static [u8] = answer.into_bytes().leak();
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(converse(stream, answer));
        }
    })
}

/// Answers request after request until the peer leaves. Requests have no body and do not overlap.
async fn converse(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = [0; MAX_HEAD];
    let mut filled = 0;
    loop {
        match stream.read(&mut head[filled..]).await? {
            0 => return Ok(()),
            read => filled += read,
        }
        if head[..filled].ends_with(b"\r\n\r\n") {
            stream.write_all(answer).await?;
            filled = 0;
        }
    }
}
