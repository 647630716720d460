use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// What must hold for a change to be made, beside what the change asks for itself.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The subject's `updated_at` must be one of these (HTTP's `If-Match`).
    pub versions: Option<Vec<Timestamp>>,
    /// The change is made at most once under this name.
    pub receipt: Option<Receipt>,
}

/// A request that may be sent again, named by its caller (HTTP's `Idempotency-Key`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The key that was used: nobody meets the names of others.
    pub caller: Uuid,
    pub name: String,
    pub request_hash: [u8; 32],
}

/// What is remembered of a change that was made under a [`Receipt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptReceipt {
    pub request_hash: [u8; 32],
    /// What was made or changed: an id or a name.
    pub subject: String,
    /// What was answered, if it may be answered again.
    pub answer: Option<String>,
}

impl Receipt {
    /// How long one is remembered.
    pub const LIFE: SignedDuration = SignedDuration::from_hours(24);

    /// How many are remembered of one caller; the oldest go first.
    pub const PER_CALLER: i64 = 1000;

    /// The largest answer that is kept, in bytes.
    pub const MAX_ANSWER: usize = 64 * 1024;
}

/// Receipts from before this are forgotten.
pub(super) fn receipts_since(now: Timestamp) -> Timestamp {
    now.saturating_sub(Receipt::LIFE).unwrap_or(Timestamp::MIN)
}
