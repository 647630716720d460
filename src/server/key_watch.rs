use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use crate::clock;
use crate::directory::Directory;
use crate::guard::Guard;
use crate::lockout::{EventKind, Finding};
use crate::metrics::{KeySeries, Metrics};
use crate::store::{Attention, KeyCounts, KeyRow, PageRequest, StoreError};

/// Weeks are what it is about.
const EVERY: Duration = Duration::from_secs(10 * 60);

const STARTING: Duration = Duration::from_millis(100);

/// Keys that are told of at a time: five pages. More of them is a matter for the list.
const PAGE: usize = 200;
const PAGES: usize = 5;

/// Counts the keys that somebody should look at, and tells of each once. Never returns.
pub(super) async fn watch(directory: Arc<Directory>, guard: Arc<Guard>, metrics: Arc<Metrics>) {
    while !directory.is_ready() {
        sleep(STARTING).await;
    }
    loop {
        if let Err(error) = look(&directory, &guard, &metrics).await {
            tracing::debug!(%error, "nobody can tell which keys need to be looked at");
        }
        sleep(EVERY).await;
    }
}

async fn look(directory: &Directory, guard: &Guard, metrics: &Metrics) -> Result<(), StoreError> {
    let now = clock::now();
    let counts = directory.store().key_counts(now).await?;
    show(&metrics.keys, counts);
    if counts.nearing_expiry > 0 {
        tell(directory, guard, Attention::NearingExpiry, now).await?;
    }
    if counts.unused > 0 {
        tell(directory, guard, Attention::Unused, now).await?;
    }
    Ok(())
}

fn show(series: &KeySeries, counts: KeyCounts) {
    let KeyCounts { working, nearing_expiry, never_used, unused } = counts;
    series.working.set(working as i64);
    series.nearing_expiry.set(nearing_expiry as i64);
    series.never_used.set(never_used as i64);
    series.unused.set(unused as i64);
}

/// What was told before is told again here and kept once: an event knows what it repeats.
async fn tell(
    directory: &Directory,
    guard: &Guard,
    attention: Attention,
    now: Timestamp,
) -> Result<(), StoreError> {
    let filter = attention.filter(now);
    let mut page = PageRequest { limit: PAGE, after: None };
    for _ in 0..PAGES {
        let keys = directory.store().keys(&filter, &page).await?;
        keys.rows.iter().for_each(|key| guard.noticed(finding(attention, key), now));
        if keys.next.is_none() {
            break;
        }
        page.after = keys.next;
    }
    Ok(())
}

fn finding(attention: Attention, key: &KeyRow) -> Finding {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let about = |kind| Finding::new(kind).user(key.user_id).key(key.id);
    match attention {
        Attention::NearingExpiry => {
            about(EventKind::KeyExpiring).with("expires_at", text(key.expires_at))
        }
        Attention::NeverUsed | Attention::Unused => {
            about(EventKind::KeyUnused).with("last_used_at", text(key.last_used_at))
        }
    }
}
