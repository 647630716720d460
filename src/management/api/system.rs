//! What runs here, and what somebody should look at.

use axum::extract::State;
use serde::Serialize;

use crate::clock;
use crate::key::Permission;
use crate::management::plane::{ControlPlane, Plane};
use crate::management::wire::{Answer, ApiError, ok};
use crate::store::{KeyCounts, NodeRow};

pub async fn config(State(plane): State<Plane>) -> Answer {
    ok(&**plane.parts.running.load())
}

/// On this node; others see the file's change by themselves, or have a file of their own.
pub async fn reload(State(plane): State<Plane>) -> Answer {
    let reloaded = (plane.parts.reload)().await;
    reloaded.map_err(|problems| ApiError::InvalidConfig { problems })?;
    config(State(plane)).await
}

#[derive(Serialize)]
struct Diagnostics {
    node: String,
    version: &'static str,
    uptime_seconds: u64,
    store: StoreState,
    cache: Cache,
    feed: Feed,
    nodes: Vec<NodeView>,
    usage_waiting: usize,
    /// Required by routes, and defined by nobody: perhaps mistyped.
    undefined_permissions: Vec<String>,
    /// Tiers that users have and the configuration has not, so that the default one holds.
    undefined_tiers: Vec<UndefinedTier>,
    keys: KeyAttention,
}

#[derive(Serialize)]
struct StoreState {
    degraded: bool,
    /// How long one round trip took.
    ping_seconds: f64,
    newest_change: u64,
}

#[derive(Serialize)]
struct Cache {
    keys: i64,
}

#[derive(Serialize)]
struct Feed {
    /// The last change that is effective here.
    applied_change: u64,
    lag_seconds: f64,
}

#[derive(Serialize)]
struct UndefinedTier {
    tier: String,
    users: u64,
}

/// A node that serves from this store.
#[derive(Serialize)]
struct NodeView {
    name: String,
    /// The last change that is effective there.
    applied_change: u64,
    silent_seconds: f64,
}

impl From<NodeRow> for NodeView {
    fn from(NodeRow { name, applied, silent_for }: NodeRow) -> Self {
        Self { name, applied_change: applied, silent_seconds: silent_for.as_secs_f64() }
    }
}

#[derive(Serialize)]
struct KeyAttention {
    working: u64,
    /// Within two weeks.
    nearing_expiry: u64,
    never_used: u64,
    /// Neither made nor used within 90 days.
    unused: u64,
}

impl From<KeyCounts> for KeyAttention {
    fn from(counts: KeyCounts) -> Self {
        let KeyCounts { working, nearing_expiry, never_used, unused } = counts;
        Self { working, nearing_expiry, never_used, unused }
    }
}

pub async fn diagnostics(State(plane): State<Plane>) -> Answer {
    let parts = &plane.parts;
    ok(Diagnostics {
        node: parts.node.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: plane.started.elapsed().as_secs(),
        store: store(&plane).await?,
        cache: Cache { keys: parts.metrics.cache.keys.get() },
        feed: feed(&plane),
        nodes: plane.store().live_nodes().await?.into_iter().map(NodeView::from).collect(),
        usage_waiting: parts.recorder.waiting(),
        undefined_permissions: undefined(&plane).await?,
        undefined_tiers: undefined_tiers(&plane).await?,
        keys: plane.store().key_counts(clock::now()).await?.into(),
    })
}

fn feed(plane: &ControlPlane) -> Feed {
    Feed {
        applied_change: *plane.parts.directory.applied().borrow(),
        lag_seconds: plane.parts.metrics.feed.lag_seconds(),
    }
}

async fn store(plane: &ControlPlane) -> Result<StoreState, ApiError> {
    let begun = std::time::Instant::now();
    plane.store().ping().await?;
    Ok(StoreState {
        ping_seconds: begun.elapsed().as_secs_f64(),
        degraded: plane.parts.health.is_degraded(),
        newest_change: plane.store().newest_change().await?,
    })
}

/// The route map is the operator's own and small; each name in it is looked up.
async fn undefined(plane: &ControlPlane) -> Result<Vec<String>, ApiError> {
    let running = plane.parts.running.load_full();
    let mut undefined = Vec::new();
    for permission in running.required() {
        if is_undefined(plane, permission).await? {
            undefined.push(permission.to_string());
        }
    }
    Ok(undefined)
}

async fn undefined_tiers(plane: &ControlPlane) -> Result<Vec<UndefinedTier>, ApiError> {
    let known = plane.parts.limits.tier_names();
    let in_use = plane.store().tiers_in_use().await?.into_iter();
    let undefined = in_use.filter(|(tier, _)| known.iter().all(|known| **known != **tier));
    Ok(undefined.map(|(tier, users)| UndefinedTier { tier, users }).collect())
}

async fn is_undefined(plane: &ControlPlane, permission: &Permission) -> Result<bool, ApiError> {
    Ok(plane.store().permission(permission).await?.is_none())
}
