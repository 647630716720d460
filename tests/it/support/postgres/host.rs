//! The machine around a cluster: where PostgreSQL's programs are, and as whom they run.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, geteuid};

/// A shell that stops the cluster when its standard input closes, and then removes its files.
pub(super) fn watchdog(bin: &Path, directory: &Path) -> Child {
    const SCRIPT: &str = r#"
        read -r _
        kill -CONT "$(head -n 1 "$2/data/postmaster.pid")"
        "$1/pg_ctl" --silent --mode=immediate --wait -D "$2/data" stop
        rm -rf "$2""#;
    as_server("sh".into())
        .args(["-c", SCRIPT, "watchdog"])
        .args([bin, directory])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for the tests; their end is what this one waits for.
        .process_group(0)
        .spawn()
        .expect("a shell")
}

/// PostgreSQL refuses to run as root: then it runs as `postgres`.
pub(super) fn as_server(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some((uid, gid)) = server_account() {
        command.uid(uid).gid(gid);
    }
    command
}

pub(super) fn server_account() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").expect("the list of accounts");
    let account = |name| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    Some(account("postgres").or_else(|| account("nobody")).expect("an account that is not root"))
}

/// Where the server's programs are: in the path, or where Debian keeps them (the newest).
pub(super) fn binaries() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let version =
        |bin: &PathBuf| -> Option<u32> { bin.parent()?.file_name()?.to_str()?.parse().ok() };
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<_> = installed.map(|entry| entry.path().join("bin")).collect();
    debian.sort_by_key(|bin| std::cmp::Reverse(version(bin)));
    std::env::split_paths(&path)
        .chain(debian)
        .find(|bin| bin.join("initdb").exists() && bin.join("pg_ctl").exists())
        .expect(
            "PostgreSQL's server programs (initdb, pg_ctl) are missing: `make test` installs them",
        )
}

pub(super) fn is_running(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // After the name, in parentheses, comes the state: Z has ended.
    stat.is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

pub(super) fn run(command: &mut Command) {
    // pg_ctl hands its output on to the server, so it must not be a pipe that we wait for.
    let status = command.stdout(Stdio::null()).stdin(Stdio::null()).status();
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?} failed: {status}");
}
