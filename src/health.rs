//! Whether this node is ready, degraded or draining.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::directory::Directory;

pub struct Health {
    directory: Arc<Directory>,
    draining: AtomicBool,
}

impl Health {
    pub fn new(directory: Arc<Directory>) -> Arc<Self> {
        Arc::new(Self { directory, draining: AtomicBool::new(false) })
    }

    /// From now on the node is not ready, and asks its clients to go elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// False before the first contact with the store and while draining; a store that is lost
    /// later leaves the node ready, but degraded.
    pub fn is_ready(&self) -> bool {
        self.directory.is_ready() && !self.is_draining()
    }

    pub fn is_degraded(&self) -> bool {
        self.directory.is_degraded()
    }
}
