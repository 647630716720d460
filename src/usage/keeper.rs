use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use crate::clock;
use crate::config::UsageSettings;
use crate::store::{Retention, Store};

/// Between looks at what is too old, and at the days to come.
const EVERY: Duration = Duration::from_secs(3600);

/// After a look that failed: a store that is away comes back.
const RETRY: Duration = Duration::from_secs(60);

/// Between two portions, so that requests for the store come in between.
const BREATH: Duration = Duration::from_millis(100);

/// Forgets what is older than is kept.
pub(super) struct Keeper {
    store: Arc<dyn Store>,
    records: Duration,
    rollups: Duration,
}

impl Keeper {
    pub(super) fn new(store: Arc<dyn Store>, settings: &UsageSettings) -> Self {
        Self { store, records: settings.keep_records, rollups: settings.keep_rollups }
    }

    pub(super) async fn run(self) {
        loop {
            let pause = match self.store.keep_usage(&self.retention(clock::now())).await {
                Ok(true) => BREATH,
                Ok(false) => EVERY,
                Err(error) => {
                    tracing::warn!(%error, "old usage is not forgotten yet");
                    RETRY
                }
            };
            sleep(pause).await;
        }
    }

    fn retention(&self, now: Timestamp) -> Retention {
        let before = |age: Duration| {
            let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
            now.checked_sub(age).unwrap_or(Timestamp::MIN)
        };
        Retention { now, records_since: before(self.records), rollups_since: before(self.rollups) }
    }
}
