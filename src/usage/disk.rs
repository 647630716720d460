//! What the spool asks of the disk when it must not lose anything. Tests put a disk in the place
//! of the real one that is full, breaks, or loses its power.

use std::fs::File;
use std::io::{self, Write};

pub(super) trait Disk: Send + Sync {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()>;

    /// Returns when a power cut takes nothing away of a file, or of the names in a directory.
    fn sync(&self, file: &File) -> io::Result<()>;
}

pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}
