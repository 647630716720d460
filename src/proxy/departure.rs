//! How clients are sent away when the node stops, without cutting any of them off.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::InFlight;
use crate::health::Health;

/// How long busy clients have to get one more answer, which says `Connection: close`. A connection
/// that is closed between two requests may have the next one under way already.
const ANNOUNCE: Duration = Duration::from_secs(1);

/// Without a request for this long, nobody needs the announcement. A busy client on a busy machine
/// may be kept from its next request for a while.
const QUIET: Duration = Duration::from_millis(250);

const TICK: Duration = Duration::from_millis(5);

pub struct Departure {
    health: Arc<Health>,
    in_flight: InFlight,
    leaving: watch::Sender<bool>,
    watch: watch::Receiver<bool>,
}

impl Departure {
    pub fn new(health: Arc<Health>, in_flight: InFlight) -> Self {
        let (leaving, watch) = watch::channel(false);
        Self { health, in_flight, leaving, watch }
    }

    /// True when answers ask their clients to leave. Pingora's own shutdown signal comes before the
    /// listener is closed: clients that are sent away by it would come back, to be cut off.
    pub fn watch(&self) -> &watch::Receiver<bool> {
        &self.watch
    }

    /// Sends clients away for as long as there are any, and no longer than a moment.
    pub async fn announce(&self) {
        self.health.leave();
        let _ = self.leaving.send(true);
        let end = Instant::now() + ANNOUNCE;
        let mut seen = self.in_flight.started();
        let mut since = Instant::now();
        while Instant::now() < end {
            sleep(TICK).await;
            let started = self.in_flight.started();
            if started != seen || self.in_flight.count() > 0 {
                seen = started;
                since = Instant::now();
            } else if since.elapsed() >= QUIET {
                return;
            }
        }
    }
}
