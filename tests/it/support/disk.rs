//! Small disks, in a mount namespace of one process: they are gone when it is.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;

/// A disk that is mounted for one process and its children.
pub struct SmallDisk {
    folder: tempfile::TempDir,
    size: &'static str,
}

impl SmallDisk {
    /// One of `size`, as `mount` takes it; `None`, and a word about it, where that is not permitted.
    pub fn new(size: &'static str) -> Option<Self> {
        let [program, words @ ..] = &*namespace() else { return None };
        let allowed = Command::new(program)
            .args(words)
            .args(["sh", "-c", "mount -t tmpfs tmpfs /mnt"])
            .stderr(Stdio::null())
            .status();
        if !allowed.is_ok_and(|status| status.success()) {
            // Past the test's captured output: this must be seen.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: a story of a full disk, because nothing may be mounted here"
            );
            return None;
        }
        Some(Self { folder: tempfile::tempdir().expect("a temporary folder"), size })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The same as others see it, who ask by the process that has it.
    pub fn of(&self, pid: u32) -> PathBuf {
        let path = self.path().strip_prefix("/").expect("it is absolute");
        Path::new("/proc").join(pid.to_string()).join("root").join(path)
    }

    /// The beginning of a command that runs with the disk.
    pub fn command(&self) -> Vec<String> {
        let script = "mount -t tmpfs -o size=$1 tmpfs \"$0\" && shift && exec \"$@\"";
        let folder = self.path().to_str().expect("UTF-8").to_owned();
        let mut command = namespace();
        command.extend(["sh".into(), "-c".into(), script.into(), folder, self.size.into()]);
        command
    }
}

fn namespace() -> Vec<String> {
    let words: &[&str] = match geteuid().is_root() {
        true => &["unshare", "--mount"],
        false => &["unshare", "--user", "--map-root-user", "--mount"],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}
