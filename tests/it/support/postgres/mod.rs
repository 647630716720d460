//! Private PostgreSQL clusters: one for the whole test binary, and more for tests that break one.
//!
//! A cluster dies with the test process, however that ends: a shell waits on a pipe that the
//! process holds, and stops the cluster when the pipe closes.

mod host;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gatepost::config::StoreUrl;
use gatepost::store::migrate;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::OnceCell;

use self::host::{as_server, binaries, free_port, is_running, run, server_account, watchdog};

/// A database of its own for one test, migrated, dropped afterwards.
pub struct TestDatabase {
    cluster: &'static Cluster,
    name: String,
}

impl TestDatabase {
    pub async fn new() -> Self {
        Self::create(" TEMPLATE gatepost_template").await
    }

    /// One without a single table.
    pub async fn empty() -> Self {
        Self::create("").await
    }

    async fn create(template: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let cluster = Cluster::shared().await;
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        cluster.execute("postgres", &format!("CREATE DATABASE {name}{template}"));
        Self { cluster, name }
    }

    pub fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// Runs `sql` beside the store, as an operator would with psql.
    pub fn execute(&self, sql: &str) {
        self.cluster.execute(&self.name, sql);
    }

    /// The first column of the rows of `sql`.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        self.cluster.texts(&self.name, sql)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        self.cluster.execute("postgres", &sql);
    }
}

/// A running server. Dropped, it is stopped and its files are removed.
pub struct Cluster {
    bin: PathBuf,
    directory: PathBuf,
    port: u16,
    /// Stops the cluster when its standard input closes.
    watchdog: Child,
}

impl Cluster {
    async fn shared() -> &'static Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                let cluster = Cluster::start("");
                cluster.execute("postgres", "CREATE DATABASE gatepost_template");
                cluster.migrate("gatepost_template").await;
                cluster.until_unused("gatepost_template").await;
                cluster
            })
            .await
    }

    /// Starts one with further lines of `postgresql.conf`.
    pub fn start(settings: &str) -> Self {
        let bin = binaries();
        let directory = tempfile::Builder::new()
            .prefix("gatepost-pg-")
            .tempdir()
            .expect("a temporary directory")
            .keep();
        if let Some((uid, gid)) = server_account() {
            chown(&directory, Some(uid), Some(gid)).expect("give the directory away");
        }
        let port = free_port();
        let data = directory.join("data");
        run(as_server(bin.join("initdb"))
            .args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"])
            .args(["--locale=C", "-D"])
            .arg(&data));
        let mut configuration = fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .expect("the configuration");
        write!(
            configuration,
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\n\
             fsync = off\nfull_page_writes = off\n\
             max_connections = 200\n{settings}\n",
            directory.display()
        )
        .expect("write the configuration");
        let watchdog = watchdog(&bin, &directory);
        let cluster = Self { bin, directory, port, watchdog };
        cluster.restart();
        cluster
    }

    /// Over the socket.
    pub fn url(&self, database: &str) -> String {
        let directory = self.directory.display();
        format!("postgres://postgres@/{database}?host={directory}&port={}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes the schema in `database`.
    pub async fn migrate(&self, database: &str) {
        migrate::up(&StoreUrl::Postgres(self.url(database).into()))
            .await
            .expect("the migrations apply");
        // A session takes a moment to end, and a database in use is no template.
        let sessions = format!(
            "SELECT 1 FROM pg_stat_activity \
             WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        );
        while !self.texts("postgres", &sessions).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// A session outlives its connection for a moment, and a template must have none.
    async fn until_unused(&self, database: &str) {
        let sql = format!("SELECT pid FROM pg_stat_activity WHERE datname = '{database}'");
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.texts("postgres", &sql).is_empty() {
            assert!(Instant::now() < deadline, "somebody stays in {database}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Turns TLS on, with copies of these files.
    pub fn secure(&self, certificate: &Path, key: &Path) {
        for (from, to) in [(certificate, "server.crt"), (key, "server.key")] {
            let to = self.directory.join("data").join(to);
            fs::copy(from, &to).expect("copy the certificate");
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("keep it private");
            if let Some((uid, gid)) = server_account() {
                chown(&to, Some(uid), Some(gid)).expect("give it away");
            }
        }
        self.execute("postgres", "ALTER SYSTEM SET ssl = on");
        self.execute("postgres", "SELECT pg_reload_conf()");
    }

    /// Starts the server, after it was killed too.
    pub fn restart(&self) {
        run(as_server(self.bin.join("pg_ctl"))
            .args(["--silent", "--wait", "--timeout=60", "start", "--log"])
            .arg(self.directory.join("log"))
            .arg("-D")
            .arg(self.directory.join("data")));
    }

    /// As the out-of-memory killer would: the server and all its processes, at once.
    pub fn kill(&self) {
        let processes = self.processes();
        self.signal(Signal::KILL);
        let deadline = Instant::now() + Duration::from_secs(30);
        while processes.iter().any(|&pid| is_running(pid)) {
            assert!(Instant::now() < deadline, "the server outlives its killing");
            thread::sleep(Duration::from_millis(5));
        }
        // The number of a dead process stays taken until its parent looks, and a server does not
        // start while the number in these is taken.
        for lock in ["data/postmaster.pid".to_owned(), format!(".s.PGSQL.{}.lock", self.port)] {
            let _ = fs::remove_file(self.directory.join(lock));
        }
    }

    /// Everything stands still; connections stay open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        for pid in self.processes() {
            // A process that ended by itself meanwhile is no matter.
            let _ = kill_process(pid, signal);
        }
    }

    /// The server's own process, then its children.
    pub fn processes(&self) -> Vec<Pid> {
        let pid_file = fs::read_to_string(self.directory.join("data/postmaster.pid"));
        let pid_file = pid_file.unwrap_or_default();
        let server = pid_file.lines().next().unwrap_or_default();
        let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
        let children = children.unwrap_or_default();
        let pids = std::iter::once(server).chain(children.split_whitespace());
        pids.filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
    }

    /// Runs `sql` in `database`, as an operator would with psql.
    pub fn execute(&self, database: &str, sql: &str) {
        self.texts(database, sql);
    }

    /// The first column of the rows of `sql`.
    pub fn texts(&self, database: &str, sql: &str) -> Vec<String> {
        // On a thread of its own: callers are inside a runtime, and some are being dropped.
        let url = self.url(database);
        let query = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(simple_query(&url, sql))
        };
        thread::scope(|scope| scope.spawn(query).join().expect("the query does not panic"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.resume();
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

async fn simple_query(url: &str, sql: &str) -> Vec<String> {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("the cluster answers");
    tokio::spawn(connection);
    let messages =
        client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let first = |message: &tokio_postgres::SimpleQueryMessage| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    messages.iter().filter_map(first).collect()
}
