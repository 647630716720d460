use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::exit::{Exit, Failed};

/// A container's health check must not hang longer than the container waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks `server` for `/livez`. Exit code 0 when it answers 200.
pub fn run(server: &str) -> Result<Exit, Failed> {
    match ask(server) {
        Ok(status) if status.starts_with("HTTP/1.1 200") => Ok(Exit::Ok),
        Ok(status) => Err(unwell(server, &status)),
        Err(cause) => Err(unwell(server, &cause.to_string())),
    }
}

fn unwell(server: &str, cause: &str) -> Failed {
    Failed::new(Exit::Failure, format!("error: {server} is not well: {cause}"))
}

/// The status line of the answer. One request over plain HTTP needs no client library.
fn ask(server: &str) -> std::io::Result<String> {
    let authority = server.strip_prefix("http://").unwrap_or(server).trim_end_matches('/');
    let addr = authority.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /livez HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")?;
    let mut head = Vec::new();
    stream.take(256).read_to_end(&mut head)?;
    let line = head.split(|&b| b == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}
