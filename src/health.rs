//! Whether this node is ready, degraded or draining.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::directory::Directory;
use crate::usage::Recorder;

pub struct Health {
    directory: Arc<Directory>,
    recorder: Recorder,
    open: AtomicBool,
    draining: AtomicBool,
    leaving: AtomicBool,
}

impl Health {
    pub fn new(directory: Arc<Directory>, recorder: Recorder) -> Arc<Self> {
        Arc::new(Self {
            directory,
            recorder,
            open: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
        })
    }

    /// The proxy accepts connections.
    pub fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// From now on the node is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// From now on every answer asks its client to go elsewhere. Not before the listener is closed:
    /// whoever is sent away comes back at once, and would be cut off at its closing.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    /// False before the proxy listens, before the first contact with the store and while draining; a store that is lost
    /// later leaves the node ready, but degraded.
    pub fn is_ready(&self) -> bool {
        self.open.load(Ordering::Acquire) && self.directory.is_ready() && !self.is_draining()
    }

    /// Serving, but not all is well: the store is away, or usage records are lost.
    pub fn is_degraded(&self) -> bool {
        self.directory.is_degraded() || !self.recorder.is_well()
    }
}
