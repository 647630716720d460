//! A private Redis on loopback, without files.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A running server. Dropped, it is killed.
pub struct Redis {
    addr: SocketAddr,
    settings: &'static [&'static str],
    process: Option<Child>,
}

impl Redis {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With further settings, as words of its command line.
    pub fn with(settings: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        drop(listener);
        let mut redis = Self { addr, settings, process: None };
        redis.run();
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// Starts it (again), on the same port, with nothing in it.
    pub fn run(&mut self) {
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.addr.port().to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir", "/tmp"])
            .args(self.settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is there: `make test` installs it");
        self.process = Some(process);
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.addr).is_err() {
            assert!(Instant::now() < deadline, "Redis does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// It stands still; connections stay open.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.as_ref().map(Child::id).expect("it runs");
        let pid = Pid::from_raw(pid as i32).expect("a pid");
        kill_process(pid, signal).expect("it runs");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
