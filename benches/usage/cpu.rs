use std::fs;
use std::time::Duration;

use rustix::process::Pid;

use crate::postgres::Cluster;

/// User and kernel time of this process, and of the server that it writes to.
pub struct Cpu<'c>(pub Option<&'c Cluster>);

impl Cpu<'_> {
    /// So far: of this process, and of the server's that there are now.
    pub fn used(&self) -> (Duration, Duration) {
        let server = self.0.map(Cluster::processes).unwrap_or_default();
        let own = Pid::from_raw(std::process::id() as i32).map_or(Duration::ZERO, of);
        (own, server.into_iter().map(of).sum())
    }
}

fn of(process: Pid) -> Duration {
    let path = format!("/proc/{}/stat", process.as_raw_nonzero());
    let stat = fs::read_to_string(path).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse().ok()).unwrap_or(0_u64);
    // utime, stime, and those of children that have ended, are the 14th field and the next; the
    // second ended with the parenthesis.
    let per_second = rustix::param::clock_ticks_per_second();
    let used: u64 = (12..16).map(ticks).sum();
    Duration::from_secs_f64(used as f64 / per_second as f64)
}
