//! The control plane, on axum.

use std::sync::Arc;

use crate::config::ManagementSettings;
use crate::directory::Directory;
use crate::gate::Gate;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::usage::Recorder;

/// What the control plane is made of.
pub struct Parts {
    pub gate: Arc<Gate>,
    pub directory: Arc<Directory>,
    pub settings: ManagementSettings,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    pub realm: Box<str>,
    /// The names of the tiers that users can be given.
    pub tiers: Vec<Box<str>>,
    pub node: Arc<str>,
}
