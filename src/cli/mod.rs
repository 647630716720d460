//! The command line.

mod check;
mod explain;
mod probe;
mod table;

use std::process::ExitCode;

pub use check::{Checked, check};
pub use explain::{Explained, explain};
pub use probe::Probe;

pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
