use std::time::Duration;

/// A node that serves from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub name: String,
    /// The last change of the feed that is effective there.
    pub applied: u64,
    /// Since it last said so.
    pub silent_for: Duration,
}

impl NodeRow {
    /// Who has been silent for longer is not there any more.
    pub const LIVE: Duration = Duration::from_secs(10);

    /// Rows of nodes that were killed go after this.
    pub(super) const REMEMBERED: Duration = Duration::from_secs(60 * 60);

    /// More than serve from one store.
    pub(super) const MOST: i64 = 1_000;
}
