//! The control plane, on axum.
//!
//! | file | what lives there |
//! |---|---|
//! | [`table`] | the whole URL space: method, path, name, access, handler |
//! | [`plane`] | what handlers work with, and the judgement of who may call them |
//! | [`front`] | what happens to every request, in order |
//! | [`once`] | a request that is sent again is answered again, not done again |
//! | [`wait`] | a change is answered when it is effective on every node |
//! | [`running`] | the running configuration, without secrets |
//! | [`openapi`] | the table again, as a document |
//! | [`record`] | what remains of a request from the listener |
//! | [`power`] | nobody gives more than they have |
//! | [`wire`] | bodies, parameters, cursors, answers, errors |
//! | [`api`] | the operations, by subject |
//! | [`app`], [`listener`] | the two ways in: from the proxy, and from a socket |

mod api;
mod app;
mod caller;
mod front;
mod hosts;
mod listener;
mod once;
mod openapi;
mod plane;
mod power;
mod record;
mod running;
mod table;
mod wait;
mod wire;

use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::assertion::Assertions;
use crate::config::ManagementSettings;
use crate::directory::Directory;
use crate::gate::Gate;
use crate::guard::Guard;
use crate::health::Health;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::policy::Route;
use crate::usage::Recorder;

pub use app::{App, app};
pub use openapi::document as openapi;
pub use running::RunningConfig;
pub use table::route_names;

/// Finds a route of the data plane by its name: what it asks of its callers, now.
pub type Routes = Arc<dyn Fn(&str) -> Option<Arc<Route>> + Send + Sync>;

/// Reads the configuration again; every problem, when it is not valid and the old one goes on.
pub type Reload =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What the control plane is made of.
pub struct Parts {
    pub gate: Arc<Gate>,
    pub guard: Arc<Guard>,
    pub directory: Arc<Directory>,
    pub settings: ManagementSettings,
    pub recorder: Recorder,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    pub assertions: Arc<Assertions>,
    pub realm: Box<str>,
    /// Knows the tiers that users can be given.
    pub limits: Arc<Limits>,
    pub node: Arc<str>,
    pub routes: Routes,
    /// Replaced as a whole when the configuration is read again.
    pub running: Arc<ArcSwap<RunningConfig>>,
    pub reload: Reload,
}
