//! What attackers do, and what was done about it.

pub mod blocks;
pub mod live;
pub mod logs;
mod view;
