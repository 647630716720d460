//! Children of the driver: started, watched through /proc, and ended with it.

use std::fs;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Error;

/// The name of the threads that serve requests, in both proxies.
pub const REQUEST_THREADS: &str = "proxy";

/// What /proc counts CPU time in: 1/100 s on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

const POLL: Duration = Duration::from_millis(10);

/// A child process. Dropped, it is killed.
pub struct Process {
    child: Child,
}

/// CPU time used so far, in user space and kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// By the threads that serve requests.
    pub serving: Duration,
    /// By all others: usage records, the store, management.
    pub beside: Duration,
}

impl CpuTime {
    pub fn since(self, earlier: Self) -> Self {
        Self {
            serving: self.serving.saturating_sub(earlier.serving),
            beside: self.beside.saturating_sub(earlier.beside),
        }
    }

    pub fn total(self) -> Duration {
        self.serving + self.beside
    }
}

impl Process {
    pub fn start(mut command: Command) -> Result<Self, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = without_settings(&mut command).stdin(Stdio::null()).stdout(Stdio::null());
        let child = child.spawn().map_err(|cause| format!("cannot start {program}: {cause}"))?;
        Ok(Self { child })
    }

    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    pub fn cpu_time(&self) -> io::Result<CpuTime> {
        let mut used = CpuTime::default();
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end between the listing and the reading.
            let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
            let (name, ticks) = thread_ticks(&stat)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc: no such stat"))?;
            let part = if name == REQUEST_THREADS { &mut used.serving } else { &mut used.beside };
            *part += TICK * ticks;
        }
        Ok(used)
    }

    /// Memory that is resident, in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        kib.map(|kib: u64| kib * 1024)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc: no VmRSS"))
    }

    /// Asks it to end (SIGTERM) and waits for it, at most for `patience`.
    pub fn stop(mut self, patience: Duration) -> Result<ExitStatus, Error> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(POLL);
        }
        Err(format!("process {} did not end within {patience:?}", self.child.id()).into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then both fail, and nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The stand's own; a store in Postgres takes none that is made up on the way.
const SECRET_KEY: &str = "8d1f0c7a52b9e3641fa07c5d9e2b8436";

/// Gives `command` an environment with little but the search path: what is set for somebody's own
/// gateway is not for this one.
pub fn without_settings(command: &mut Command) -> &mut Command {
    let path = std::env::var_os("PATH").map(|path| ("PATH", path));
    command.env_clear().envs(path).env("SECRET_KEY", SECRET_KEY)
}

/// Name and CPU ticks (user and kernel) of a thread: fields 2, 14 and 15 of proc_pid_stat(5).
fn thread_ticks(stat: &str) -> Option<(&str, u32)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut fields = after.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let kernel: u32 = fields.next()?.parse().ok()?;
    Some((name, user + kernel))
}
