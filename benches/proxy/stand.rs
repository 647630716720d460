//! The test stand: an upstream, and the two proxies in front of it.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::postgres::Cluster;
use crate::process::{Process, without_settings};
use crate::{Error, bare, client};

/// What is asked for, of both proxies.
pub const PATH: &str = "/api/v1/orders/7";

const GATEPOST: &str = env!("CARGO_BIN_EXE_gatepost");

/// How long a proxy may take until it serves; long, for valgrind.
const START_PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// What everything runs on, made once.
pub struct Stand {
    dir: TempDir,
    key: String,
    cpus: Cpus,
    upstream: SocketAddr,
    _upstream: Process,
    postgres: Option<Cluster>,
}

/// A proxy that serves.
pub struct Proxy {
    pub process: Process,
    pub addr: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bare,
    Gatepost,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bare => "bare",
            Kind::Gatepost => "gatepost",
        }
    }
}

/// What a proxy is run by.
pub enum Under<'a> {
    /// Its own CPU.
    Cpu,
    /// Callgrind, writing to files that start with this path.
    Callgrind(&'a Path),
}

impl Stand {
    pub fn start(in_postgres: bool, keep: bool) -> Result<Self, Error> {
        let cpus = Cpus::of_this_process()?;
        let upstream = free_address()?;
        let process = Process::start(role("upstream", upstream, None, &cpus.others)?)?;
        let mut dir = tempfile::Builder::new().prefix("gatepost-bench-").tempdir()?;
        dir.disable_cleanup(keep);
        let postgres = in_postgres.then(|| Cluster::start(""));
        let mut stand =
            Self { dir, key: String::new(), cpus, upstream, _upstream: process, postgres };
        stand.configure(free_address()?)?;
        stand.key = bootstrap(stand.dir())?;
        Ok(stand)
    }

    fn configure(&self, listen: SocketAddr) -> Result<(), Error> {
        let store = match &self.postgres {
            Some(cluster) => cluster.url("postgres"),
            None => "sqlite://gatepost.db".to_owned(),
        };
        let text = config(listen, free_address()?, self.upstream, &store);
        Ok(fs::write(config_path(self.dir()), text)?)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the gateway that was started last is administered.
    pub fn management(&self) -> Result<SocketAddr, Error> {
        let text = fs::read_to_string(config_path(self.dir()))?;
        let section = text.split("[management]").nth(1).and_then(|rest| rest.split('"').nth(1));
        Ok(section.ok_or("the configuration has no [management]")?.parse()?)
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where everything but the proxy runs, so that the two do not take CPU from each other.
    pub fn other_cpus(&self) -> &str {
        &self.cpus.others
    }

    /// The request that both proxies get, byte for byte.
    pub fn request(&self) -> Vec<u8> {
        let key = &self.key;
        format!("GET {PATH} HTTP/1.1\r\nHost: bench.local\r\nX-API-Key: {key}\r\n\r\n").into_bytes()
    }

    /// Starts a proxy and waits until it answers.
    pub fn proxy(&self, kind: Kind, under: &Under<'_>) -> Result<Proxy, Error> {
        let addr = free_address()?;
        let command = match kind {
            Kind::Bare => role("bare", addr, Some(self.upstream), &self.cpus.proxy)?,
            Kind::Gatepost => {
                self.configure(addr)?;
                let mut command = pinned(&self.cpus.proxy, Path::new(GATEPOST));
                command.arg("serve").arg("--config").arg(config_path(self.dir()));
                command
            }
        };
        let log = self.dir().join(format!("{}.log", kind.name()));
        let mut command = under.wrap(command);
        command.stderr(fs::File::create(&log)?);
        let mut proxy = Proxy { process: Process::start(command)?, addr };
        self.wait_for(&mut proxy).map_err(|error| {
            let said = fs::read_to_string(log).unwrap_or_default();
            format!("{} does not serve: {error}\n{said}", kind.name())
        })?;
        Ok(proxy)
    }

    fn wait_for(&self, proxy: &mut Proxy) -> Result<(), Error> {
        let deadline = Instant::now() + START_PATIENCE;
        let request = self.request();
        loop {
            let Err(error) = client::send(proxy.addr, &request, 1) else { return Ok(()) };
            if proxy.process.has_ended()? || Instant::now() > deadline {
                return Err(error.into());
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Under<'_> {
    /// `command`, as the tool's own arguments.
    fn wrap(&self, command: Command) -> Command {
        let Under::Callgrind(out) = self else { return command };
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--separate-threads=yes"]);
        valgrind.arg(format!("--callgrind-out-file={}", out.display()));
        valgrind.arg(format!("--log-file={}.log", out.display()));
        // Pinning is for time, and would only be one more program to trace through.
        valgrind.args(command.get_args().skip(2));
        valgrind
    }
}

/// `program`, to be run on `cpus`: `taskset -c CPUS PROGRAM …`.
fn pinned(cpus: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cpus]).arg(program);
    command
}

/// The driver itself, as one of its children.
fn role(
    name: &str,
    listen: SocketAddr,
    forward: Option<SocketAddr>,
    cpus: &str,
) -> io::Result<Command> {
    let mut command = pinned(cpus, &std::env::current_exe()?);
    command.args(["--bench", "--role", name, "--listen", &listen.to_string()]);
    if let Some(forward) = forward {
        command.args(["--forward", &forward.to_string()]);
    }
    Ok(command)
}

fn config_path(dir: &Path) -> PathBuf {
    dir.join("gatepost.toml")
}

/// A gateway with everything on: a key, a permission, a limit, identity headers, metrics, usage
/// records. The access log is off.
fn config(listen: SocketAddr, management: SocketAddr, upstream: SocketAddr, store: &str) -> String {
    format!(
        r#"
[proxy]
listen = ["{listen}"]
threads = {threads}

[management]
listen = "{management}"

[store]
url = "{store}"

[log]
filter = "warn"
access = false

[upstreams.orders]
servers = ["{upstream}"]
timeouts = {{ connect = "{connect}s", read = "{read}s", write = "{write}s", idle = "{idle}s" }}

[[routes]]
name = "health"
path = "/health"
public = true
upstream = "orders"

[[routes]]
name = "orders-list"
path = "/api/v1/orders"
methods = ["GET"]
require = ["orders:read"]
upstream = "orders"

[[routes]]
name = "orders-read"
path = "/api/v1/orders/{{id}}"
methods = ["GET"]
require = ["orders:read"]
rate = "1000000/s"
upstream = "orders"

[[routes]]
name = "orders-delete"
path = "/api/v1/orders/{{id}}"
methods = ["DELETE"]
require = ["orders:delete"]
upstream = "orders"
"#,
        threads = bare::THREADS,
        connect = bare::CONNECT_TIMEOUT.as_secs(),
        read = bare::READ_TIMEOUT.as_secs(),
        write = bare::WRITE_TIMEOUT.as_secs(),
        idle = bare::IDLE_TIMEOUT.as_secs(),
    )
}

/// Makes the store with an admin in it, and returns the admin's key.
fn bootstrap(dir: &Path) -> Result<String, Error> {
    let mut command = Command::new(GATEPOST);
    command.args(["bootstrap", "--email", "bench@example.com", "--config"]).arg(config_path(dir));
    let output = without_settings(&mut command).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let talk = String::from_utf8_lossy(&output.stderr);
        return Err(format!("gatepost bootstrap failed: {talk}").into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A loopback address that nobody listens on.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Which CPUs are for what, in the words of `taskset`.
struct Cpus {
    proxy: String,
    others: String,
}

impl Cpus {
    /// The first CPU that this process may use is the proxy's; with one alone it is everybody's.
    fn of_this_process() -> Result<Self, Error> {
        let status = fs::read_to_string("/proc/self/status")?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let list = list.ok_or("/proc/self/status tells no CPUs")?.trim();
        let first: u32 = list.split([',', '-']).next().unwrap_or_default().parse()?;
        let others = match list.trim_start_matches(|c: char| c.is_ascii_digit()) {
            "" => list.to_owned(),
            // A range that began with the first, or a list.
            rest if rest.starts_with('-') => format!("{}{rest}", first + 1),
            rest => rest[1..].to_owned(),
        };
        Ok(Self { proxy: first.to_string(), others })
    }
}
