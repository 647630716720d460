//! What crosses the wire: bodies, parameters and cursors in, answers and errors out.

mod answer;
mod body;
mod error;
mod export;
mod members;
mod params;
mod path;
mod problem;
mod stream;
pub mod value;
mod version;

pub use answer::{Answer, ShownOnce, created, list, no_content, ok, versioned};
pub use body::{FromMembers, Parsed, collect};
pub use error::{ApiError, Whose};
pub use export::{AsyncPage, Format, Line, stream};
pub use members::Members;
pub use params::{ListKey, Params};
pub use path::{Id, Named, parse_id};
pub use stream::streamed;
pub use version::{etag, if_match};
