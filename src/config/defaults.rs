//! What a setting is when nobody says otherwise. All of it, in one place.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// `[proxy]`: long enough for a slow phone, short enough for a slow loris.
pub(super) const HEAD_DEADLINE: Duration = Duration::from_secs(10);
pub(super) const GRACE: Duration = Duration::from_secs(30);
pub(super) const KEEPALIVE: Duration = Duration::from_secs(60);
/// Connections at once: what 1 GiB holds, and a sixteenth of it for one source.
pub(super) const MAX_CONNECTIONS: u64 = 16_384;
pub(super) const MAX_CONNECTIONS_PER_SOURCE: u64 = 1_024;
pub(super) const REALM: &str = "gatepost";

/// `[management]`: this machine alone.
pub(super) const MANAGEMENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// `[store]`: connections to Postgres.
pub(super) const POOL: usize = 8;

/// `[upstreams.…] timeouts`. The idle time is below the 60 s at which many servers close.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
pub(super) const HEALTH_CHECK_EVERY: Duration = Duration::from_secs(5);

/// `[cache]`: about 600 MB when full.
pub(super) const MAX_KEYS: u64 = 1_000_000;
pub(super) const TTL: Duration = Duration::from_secs(10 * 60);
pub(super) const SERVE_STALE_FOR: Duration = Duration::from_secs(10 * 60);

/// `[usage]`: records kept in memory until they are in the spool, and the spool's bound.
pub(super) const QUEUE: usize = 65_536;
pub(super) const SPOOL_MAX: u64 = 1 << 30;
/// Beside the configuration; with the embedded store it is beside the database.
pub(super) const SPOOL: &str = "gatepost-spool";
pub(super) const KEEP_RECORDS: Duration = Duration::from_secs(30 * 24 * 3600);
pub(super) const KEEP_ROLLUPS: Duration = Duration::from_secs(400 * 24 * 3600);

/// `[limits]`: about 150 MB when full.
pub(super) const MAX_LIMITERS: usize = 1_000_000;
/// A request waits no longer for what others have used.
pub(super) const BACKEND_BUDGET: Duration = Duration::from_millis(5);

/// `[log]`
pub(super) const FILTER: &str = "info";

/// `[proxy] threads`: one for each core.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
