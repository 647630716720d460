//! Full load for a fixed time, by `wrk`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Error;
use crate::process::without_settings;
use crate::stand::PATH;

/// Sends the key from a file rather than an argument that everybody can read, and answers in a
/// form made for reading.
const SCRIPT: &str = r#"
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("figures %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

/// A `wrk` that knows what to send.
pub struct Wrk {
    script: PathBuf,
    cpus: String,
}

/// What one run came to.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub requests: u64,
    pub took: Duration,
    pub p50: Duration,
    pub p99: Duration,
}

impl Wrk {
    pub fn new(dir: &Path, key: &str, cpus: &str) -> Result<Self, Error> {
        let script = dir.join("wrk.lua");
        fs::write(&script, format!("wrk.headers['X-API-Key'] = '{key}'\n{SCRIPT}"))?;
        Ok(Self { script, cpus: cpus.to_owned() })
    }

    /// # Errors
    /// `wrk` is not installed, or a request was not answered with success.
    pub fn run(&self, addr: SocketAddr, connections: u32, seconds: u32) -> Result<Answered, Error> {
        let mut command = Command::new("taskset");
        command.args(["-c", &self.cpus, "wrk", "--threads", "1"]);
        command.args(["--connections", &connections.to_string()]);
        command.args(["--duration", &seconds.to_string(), "--timeout", "5", "--script"]);
        command.arg(&self.script).arg(format!("http://{addr}{PATH}"));
        let output = without_settings(&mut command).stdin(Stdio::null()).output();
        let output = output.map_err(|cause| format!("cannot start taskset: {cause}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let talk = String::from_utf8_lossy(&output.stderr);
            return Err(format!("wrk (Debian: apt-get install wrk) failed: {talk}{text}").into());
        }
        read_figures(&text)
    }
}

fn read_figures(text: &str) -> Result<Answered, Error> {
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let figures: Vec<u64> = line.unwrap_or_default().split(' ').flat_map(str::parse).collect();
    let &[requests, duration, p50, p99, errors] = &figures[..] else {
        return Err(format!("wrk answered without figures: {text}").into());
    };
    if errors > 0 || requests == 0 {
        return Err(format!("of {requests} requests {errors} were not answered with 200").into());
    }
    Ok(Answered {
        requests,
        took: Duration::from_micros(duration),
        p50: Duration::from_micros(p50),
        p99: Duration::from_micros(p99),
    })
}
