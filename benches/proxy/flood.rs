//! Good traffic beside a flood of keys that are well formed and nobody's.
//!
//! The flood has as many connections as the good traffic, so that its fair share is what it gets
//! beside a second crowd of good callers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::Connection;
use crate::report::line;
use crate::rounds::Load;
use crate::stand::{Kind, PATH, Proxy, Stand, Under};
use crate::{Error, client};

const MIB: f64 = (1 << 20) as f64;

/// Requests that were answered, of each kind.
#[derive(Default)]
struct Answered {
    good: AtomicU64,
    rest: AtomicU64,
}

#[derive(Clone, Copy)]
enum Beside {
    Nobody,
    Good,
    Flood,
}

pub fn measure(stand: &Stand, load: &Load) -> Result<(), Error> {
    let proxy = stand.proxy(Kind::Gatepost, &Under::Cpu)?;
    let good = stand.request();
    client::send(proxy.addr, &good, 1_000)?;
    let before = proxy.process.resident()?;
    line(&format!("{} connections of each kind for {} s\n", load.connections, load.seconds))?;
    line("beside           good/s    others/s   RSS MiB")?;
    let alone = round(&proxy, &good, load, "nobody", Beside::Nobody)?;
    let fair = round(&proxy, &good, load, "good callers", Beside::Good)?;
    let flooded = round(&proxy, &good, load, "a flood", Beside::Flood)?;
    let grown = proxy.process.resident()?.saturating_sub(before) as f64 / MIB;
    line(&format!(
        "\ngood traffic keeps {:.0} % of its fair share, {:.0} % of what it has alone; \
         {grown:.1} MiB more memory than before; {} loads from the store",
        100.0 * flooded / fair,
        100.0 * flooded / alone,
        loads(stand)?,
    ))
}

/// Good requests per second.
fn round(
    proxy: &Proxy,
    good: &[u8],
    load: &Load,
    name: &str,
    beside: Beside,
) -> Result<f64, Error> {
    let (answered, over) = (Answered::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        for number in 0..load.connections {
            scope.spawn(|| crowd(proxy.addr, &over, &answered.good, 200, || good.to_vec()));
            let (addr, over, rest) = (proxy.addr, &over, &answered.rest);
            match beside {
                Beside::Nobody => {}
                Beside::Good => {
                    scope.spawn(move || crowd(addr, over, rest, 200, || good.to_vec()));
                }
                Beside::Flood => {
                    let mut strangers = Strangers::new(number);
                    scope.spawn(move || crowd(addr, over, rest, 429, || strangers.request()));
                }
            }
        }
        thread::sleep(Duration::from_secs(load.seconds.into()));
        over.store(true, Ordering::Relaxed);
    });
    let per_second =
        |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / f64::from(load.seconds);
    let (good, rest) = (per_second(&answered.good), per_second(&answered.rest));
    let resident = proxy.process.resident()? as f64 / MIB;
    line(&format!("{name:<14} {good:>8.0} {rest:>11.0} {resident:>9.1}"))?;
    Ok(good)
}

/// One connection that asks again and again; what is answered as it should be counts.
fn crowd(
    addr: SocketAddr,
    over: &AtomicBool,
    count: &AtomicU64,
    wanted: u16,
    mut request: impl FnMut() -> Vec<u8>,
) {
    while !over.load(Ordering::Relaxed) {
        let Ok(mut connection) = Connection::open(addr) else { continue };
        while !over.load(Ordering::Relaxed) {
            let Ok(answer) = connection.ask(&request()) else { break };
            count.fetch_add(u64::from(answer.status == wanted), Ordering::Relaxed);
            if answer.closes {
                break;
            }
        }
    }
}

/// Keys with a right shape and checksum, no two alike, and none of them minted.
struct Strangers {
    next: u64,
}

impl Strangers {
    fn new(connection: u32) -> Self {
        Self { next: u64::from(connection) << 40 }
    }

    fn request(&mut self) -> Vec<u8> {
        self.next += 1;
        let signed = format!("gp_live_{:016}_{:043}", self.next, self.next);
        let sum = checksum(signed.as_bytes());
        let head = "HTTP/1.1\r\nHost: bench.local\r\nX-API-Key:";
        format!("GET {PATH} {head} {signed}{sum}\r\n\r\n").into_bytes()
    }
}

/// CRC-32 as six digits to the base of 62.
fn checksum(signed: &[u8]) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let sum = crc32fast::hash(signed) as usize;
    let digit = |n: u32| char::from(DIGITS[sum / 62_usize.pow(n) % 62]);
    (0..6).rev().map(digit).collect()
}

/// Keys that were asked of the store since the start.
fn loads(stand: &Stand) -> Result<String, Error> {
    const SERIES: &str = "gatepost_store_query_duration_seconds_count{op=\"load\"}";
    let metrics = client::get(stand.management()?, "/metrics")?;
    let value = metrics.lines().find_map(|line| line.strip_prefix(SERIES));
    Ok(value.ok_or("no such series")?.trim().to_owned())
}
