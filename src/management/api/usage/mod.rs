//! What was recorded of requests: one by one, and counted by the minute.

mod analytics;
mod logs;
mod parameters;

pub use analytics::{export as export_analytics, own, read as analytics};
pub use logs::{export as export_logs, list as logs};
