//! A plain HTTP/1.1 client for a fixed number of requests, where `wrk` only knows a fixed time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Generous: a proxy under valgrind is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer with its head is a few hundred bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Sends `request` `count` times, one after the other.
///
/// # Errors
/// The connection failed, or an answer was not `200`.
pub fn send(addr: SocketAddr, request: &[u8], count: u32) -> io::Result<()> {
    let mut connection = Connection::open(addr)?;
    for _ in 0..count {
        let answer = connection.ask(request)?;
        if answer.status != 200 {
            return Err(fault(format!("the proxy answered {}", answer.status)));
        }
        if answer.closes {
            connection = Connection::open(addr)?;
        }
    }
    Ok(())
}

/// The body of what `path` answers.
///
/// # Errors
/// The connection failed.
pub fn get(addr: SocketAddr, path: &str) -> io::Result<String> {
    let mut connection = Connection::open(addr)?.0;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// A connection for one request after the other.
pub struct Connection(TcpStream);

impl Connection {
    pub fn open(addr: SocketAddr) -> io::Result<Self> {
        let connection = TcpStream::connect_timeout(&addr, PATIENCE)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(connection))
    }

    pub fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.0.write_all(request)?;
        Answer::read(&mut self.0)
    }
}

pub struct Answer {
    pub status: u16,
    /// `Connection: close`.
    pub closes: bool,
}

impl Answer {
    /// Reads one answer with its body, which has a `Content-Length`.
    fn read(connection: &mut TcpStream) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(1024);
        let (head_end, body) = loop {
            fill(connection, &mut bytes)?;
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = std::str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
                break (end + 4, Head::parse(head)?);
            }
        };
        while bytes.len() < head_end + body.length {
            fill(connection, &mut bytes)?;
        }
        Ok(body.answer)
    }
}

struct Head {
    answer: Answer,
    length: usize,
}

impl Head {
    fn parse(head: &str) -> io::Result<Self> {
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| fault("an answer without a status".into()))?;
        let header = |name: &str| {
            head.lines().skip(1).find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then_some(value.trim())
            })
        };
        let length = header("content-length").and_then(|length| length.parse().ok());
        let length = length.ok_or_else(|| fault("an answer without a Content-Length".into()))?;
        let closes = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Ok(Self { answer: Answer { status, closes }, length })
    }
}

fn fill(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 4096];
    let read = connection.read(&mut chunk)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if bytes.len() + read > MAX_ANSWER {
        return Err(fault("an answer larger than any of ours".into()));
    }
    bytes.extend_from_slice(&chunk[..read]);
    Ok(())
}

fn fault(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
