use std::sync::Arc;

use super::Background;
use super::upstream::Upstreams;
use crate::config::{ProxySettings, Upstream};
use crate::policy::{Policy, Route};

/// What a reload replaces, in one step. A request keeps what it started with.
pub struct Live {
    pub(super) policy: Policy,
    pub(super) upstreams: Upstreams,
    pub(super) settings: ProxySettings,
}

impl Live {
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.policy.routes().iter().find(|route| &*route.name == name)
    }

    /// Beside it, what has to run for as long as it is in use.
    ///
    /// # Errors
    /// An upstream's settings make no valid health check.
    pub fn new(
        policy: Policy,
        upstreams: Vec<Upstream>,
        settings: ProxySettings,
    ) -> pingora::Result<(Self, Background)> {
        let (upstreams, background) = Upstreams::new(upstreams)?;
        Ok((Self { policy, upstreams, settings }, background))
    }
}
