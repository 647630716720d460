//! User-space instructions per request: the figure that repeats from run to run.
//!
//! Each proxy is run twice, for N and for 2 N requests; the difference is N requests without
//! start-up, first connections and shutdown.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::report::line;
use crate::stand::{Kind, Stand, Under};
use crate::{Error, client};

/// Requests in flight: enough that a proxy finds work when it looks, as under load.
const CONNECTIONS: u32 = 4;

/// A stop under valgrind, which writes its files then.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Instructions of one run by thread, in the order in which they were started.
type ByThread = BTreeMap<u32, u64>;

pub fn compare(stand: &Stand, requests: u32) -> Result<(), Error> {
    let bare = PerRequest::count(stand, Kind::Bare, requests)?;
    let gatepost = PerRequest::count(stand, Kind::Gatepost, requests)?;
    line(&format!(
        "{:<32} {:>9} {:>9}   gatepost : bare",
        "user-space instructions/request", "bare", "gatepost"
    ))?;
    row("all threads", bare.all, gatepost.all)?;
    row("  of them by the serving thread", bare.serving, gatepost.serving)
}

fn row(name: &str, bare: f64, gatepost: f64) -> Result<(), Error> {
    line(&format!("{name:<32} {bare:>9.0} {gatepost:>9.0}   {:.3}", gatepost / bare))
}

struct PerRequest {
    all: f64,
    /// Of the thread that did most.
    serving: f64,
}

impl PerRequest {
    fn count(stand: &Stand, kind: Kind, requests: u32) -> Result<Self, Error> {
        let short = run(stand, kind, requests)?;
        let long = run(stand, kind, 2 * requests)?;
        let each = long.iter().map(|(thread, &instructions)| {
            let before = short.get(thread).copied().unwrap_or(0);
            (instructions as f64 - before as f64) / f64::from(requests)
        });
        Ok(Self { all: each.clone().sum(), serving: each.fold(0.0, f64::max) })
    }
}

/// Runs a proxy for `requests` requests, from its start to its end.
fn run(stand: &Stand, kind: Kind, requests: u32) -> Result<ByThread, Error> {
    let name = format!("callgrind.{}.{requests}", kind.name());
    let proxy = stand.proxy(kind, &Under::Callgrind(&stand.dir().join(&name)))?;
    let request = stand.request();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(|| client::send(proxy.addr, &request, requests / CONNECTIONS)))
            .collect();
        clients.into_iter().try_for_each(|client| {
            client.join().unwrap_or_else(|_| Err(io::Error::other("a client panicked")))
        })
    })?;
    proxy.process.stop(STOP_PATIENCE)?;
    read(stand.dir(), &name)
}

/// Callgrind's files of one run: one for each thread, `NAME-01`, `NAME-02` …
fn read(dir: &Path, name: &str) -> Result<ByThread, Error> {
    let mut threads = ByThread::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let file = entry.file_name().into_string().unwrap_or_default();
        let number = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        if let Some(number) = number {
            let text = fs::read_to_string(entry.path())?;
            let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
            threads.insert(number.parse()?, total.unwrap_or("0").parse()?);
        }
    }
    if threads.is_empty() { Err("callgrind wrote no files".into()) } else { Ok(threads) }
}
