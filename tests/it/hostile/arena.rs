//! Where a hostile request meets the gateway, and what must hold whatever it is.

use std::fmt;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::recorder::{Recorder, find};
use crate::support::gateway::{Gateway, Key, Plan};

/// What a client would like the upstream to believe.
pub const FORGED: &str = "forged-by-the-client";

/// Where a request goes that is hidden in another one.
pub const SMUGGLED: &str = "/public/smuggled";

/// An answer or the end must come within this time. The gateway gives a head 2 s.
const PATIENCE: Duration = Duration::from_secs(8);
/// What has not come by now, after an answer, does not come.
const QUIET: Duration = Duration::from_millis(40);

/// Every wrong key is to be judged: none by what came before it.
const PATIENT: &str = "\n[lockout]\nsource_failures = \"60000/min\"\n";

const ROUTES: &str = r#"
[[routes]]
name = "orders"
path = "/api/v1/orders"
methods = ["GET", "POST"]
require = ["orders:read"]
upstream = "recorder"

[[routes]]
name = "order"
path = "/api/v1/orders/{id}"
methods = ["GET"]
require = ["orders:read"]
upstream = "recorder"

[[routes]]
name = "admin"
path = "/admin"
require = ["admin"]
upstream = "recorder"

[[routes]]
name = "admin-rest"
path = "/admin/{*rest}"
require = ["admin"]
upstream = "recorder"

[[routes]]
name = "files"
path = "/files/{*rest}"
require = []
upstream = "recorder"

[[routes]]
name = "public"
path = "/public/{*rest}"
public = true
upstream = "recorder"

[[routes]]
name = "socket"
path = "/socket"
require = []
websocket = true
upstream = "recorder"

[[routes]]
name = "api-host"
path = "/on-host"
host = "api.example.com"
public = true
upstream = "recorder"

[[routes]]
name = "profile"
path = "/api/v1/profile"
methods = ["GET"]
require = []
upstream = "management"
"#;

/// A request, and what has to become of it. `{K}` stands for a good key that may read orders.
pub struct Attack {
    sent: Vec<u8>,
    expect: Expect,
}

pub enum Expect {
    /// A 4xx, or the connection is closed without one; not a byte reaches the upstream.
    Refused,
    /// The same, with this status.
    RefusedAs(u16),
    /// It is let in, and begins like this at the upstream; what a client may not say is gone.
    Forwarded(String),
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sent[..self.sent.len().min(200)].escape_ascii())
    }
}

pub fn refused(sent: impl Into<Vec<u8>>) -> Attack {
    Attack { sent: sent.into(), expect: Expect::Refused }
}

pub fn refused_as(status: u16, sent: impl Into<Vec<u8>>) -> Attack {
    Attack { sent: sent.into(), expect: Expect::RefusedAs(status) }
}

/// Let in, with `line` and its end as the first bytes that the upstream sees.
pub fn forwarded(line: impl fmt::Display, sent: impl Into<Vec<u8>>) -> Attack {
    Attack { sent: sent.into(), expect: Expect::Forwarded(format!("{line} HTTP/1.1\r\n")) }
}

/// A GET with a good key.
pub fn get(target: impl AsRef<[u8]>) -> Vec<u8> {
    let end = b" HTTP/1.1\r\nHost: a.example\r\nX-API-Key: {K}\r\nConnection: close\r\n\r\n";
    [b"GET ", target.as_ref(), end].concat()
}

/// A GET of `/files/a` with a good key and these header lines.
pub fn get_with(lines: impl AsRef<[u8]>) -> Vec<u8> {
    let start = b"GET /files/a HTTP/1.1\r\nHost: a.example\r\nX-API-Key: {K}\r\n";
    [start, lines.as_ref(), b"\r\nConnection: close\r\n\r\n"].concat()
}

pub struct Arena {
    pub gateway: Gateway,
    pub recorder: Recorder,
    pub key: Key,
}

impl Arena {
    pub async fn open() -> Self {
        Self::with(Recorder::start().await, "").await
    }

    /// `proxy` are further keys of `[proxy]`.
    pub async fn with(recorder: Recorder, proxy: &str) -> Self {
        Self::planned(Plan::new(), recorder, proxy).await
    }

    /// `proxy` are further keys of `[proxy]`, and after them sections.
    pub async fn planned(plan: Plan, recorder: Recorder, proxy: &str) -> Self {
        let extra = format!(
            "head_deadline = \"2s\"\n{proxy}\n[upstreams.recorder]\nservers = [\"{}\"]\n{PATIENT}",
            recorder.addr
        );
        let gateway = plan.routes(ROUTES).extra(&extra).start().await;
        let key = gateway.key(&["orders:read"]).await;
        recorder.take();
        Self { gateway, recorder, key }
    }

    /// `Err` tells what should not have happened.
    pub async fn face(&self, attack: &Attack) -> Result<(), String> {
        let answer = self.say(&attack.sent).await?;
        let arrived = self.recorder.take();
        let statuses = statuses(&answer);
        if statuses.len() > 1 {
            return Err(format!("answered {statuses:?}: more than one request was seen in it"));
        }
        let status = statuses.first().copied();
        if status.is_some_and(|status| status >= 500) {
            return Err(format!("answered {status:?}"));
        }
        if find(&arrived, SMUGGLED.as_bytes()).is_some_and(|_| !attack.is_for(SMUGGLED)) {
            return Err("a hidden request reached the upstream".into());
        }
        match &attack.expect {
            Expect::Refused => refuses(status, &arrived),
            Expect::RefusedAs(wanted) if status != Some(*wanted) => {
                Err(format!("answered {status:?} instead of {wanted}"))
            }
            Expect::RefusedAs(_) => refuses(status, &arrived),
            Expect::Forwarded(line) => self.forwards(line, status, &arrived),
        }
    }

    fn forwards(&self, line: &str, status: Option<u16>, arrived: &[u8]) -> Result<(), String> {
        let seen = arrived.escape_ascii();
        if status != Some(200) {
            return Err(format!("answered {status:?}; the upstream saw {seen}"));
        }
        if !arrived.starts_with(line.as_bytes()) {
            return Err(format!("the upstream saw {seen}"));
        }
        let text = String::from_utf8_lossy(arrived).to_ascii_lowercase();
        if text.contains(FORGED) || text.contains(&self.key.text.to_ascii_lowercase()) {
            return Err(format!("what is not for the upstream came through: {seen}"));
        }
        let ids = [
            ("user", format!("x-gatepost-user-id: {}\r\n", self.key.user_id)),
            ("key", format!("x-gatepost-key-id: {}\r\n", self.key.id)),
        ];
        for (whose, id) in ids {
            let name = id.split(' ').next().unwrap_or_default();
            let wanted = usize::from(!line.contains(" /public/") && !line.contains(" /on-host"));
            if text.matches(name).count() != wanted || text.matches(&id).count() != wanted {
                return Err(format!("the {whose} id is not right: {seen}"));
            }
        }
        let hosts = text.lines().take_while(|l| !l.is_empty()).filter(|l| l.starts_with("host:"));
        match hosts.count() {
            1 => Ok(()),
            count => Err(format!("{count} Host headers: {seen}")),
        }
    }

    /// What comes back until the end, or until nothing more comes after a whole answer.
    pub async fn say(&self, sent: &[u8]) -> Result<Vec<u8>, String> {
        let sent = self.with_key(sent);
        let mut stream = TcpStream::connect(self.gateway.proxy).await.expect("it listens");
        // The gateway may have closed before the last byte: that is an answer too.
        let _ = stream.write_all(&sent).await;
        listen(&mut stream).await
    }

    pub fn with_key(&self, sent: &[u8]) -> Vec<u8> {
        let Some(at) = find(sent, b"{K}") else { return sent.to_vec() };
        let rest = self.with_key(&sent[at + 3..]);
        [&sent[..at], self.key.text.as_bytes(), &rest].concat()
    }

    pub async fn still_serves(&self) {
        let answer = self.say(&get("/api/v1/orders/7")).await.expect("an answer");
        assert_eq!(statuses(&answer), [200]);
    }
}

impl Attack {
    fn is_for(&self, target: &str) -> bool {
        matches!(&self.expect, Expect::Forwarded(line) if line.contains(target))
    }
}

fn refuses(status: Option<u16>, arrived: &[u8]) -> Result<(), String> {
    if !arrived.is_empty() {
        return Err(format!("the upstream saw {}", arrived.escape_ascii()));
    }
    match status {
        None | Some(400..500) => Ok(()),
        Some(status) => Err(format!("answered {status}")),
    }
}

async fn listen(stream: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let patience = if is_whole(&answer) { QUIET } else { PATIENCE };
        match tokio::time::timeout(patience, stream.read(&mut buffer)).await {
            Ok(Ok(read @ 1..)) => answer.extend_from_slice(&buffer[..read]),
            Ok(_) => return Ok(answer),
            Err(_) if is_whole(&answer) => return Ok(answer),
            Err(_) => return Err(format!("no end after {}", answer.escape_ascii())),
        }
    }
}

/// Whether `answer` ends where a response does.
fn is_whole(answer: &[u8]) -> bool {
    let mut rest = answer;
    while let Some((_, length)) = response(rest) {
        rest = &rest[length.min(rest.len())..];
        if rest.is_empty() {
            return true;
        }
    }
    false
}

/// The statuses of the final responses in `answer`.
pub fn statuses(answer: &[u8]) -> Vec<u16> {
    let mut rest = answer;
    let mut statuses = Vec::new();
    while let Some((status, length)) = response(rest) {
        if status >= 200 || status == 101 {
            statuses.push(status);
        }
        rest = &rest[length.min(rest.len())..];
    }
    statuses
}

/// The status of the first response, and its length as its head tells it.
fn response(bytes: &[u8]) -> Option<(u16, usize)> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let status: u16 = text.split(' ').nth(1)?.parse().ok()?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0);
    let end =
        if bytes.len() < head + length && length > 0 { bytes.len() + 1 } else { head + length };
    Some((status, end))
}
