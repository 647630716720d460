//! What crosses the wire: bodies, parameters and cursors in, answers and errors out.

mod answer;
mod body;
mod error;
mod members;
mod params;
mod path;
mod problem;
mod stream;
pub mod value;

pub use answer::{Answer, created, list, no_content, ok};
pub use body::{FromMembers, Parsed};
pub use error::{ApiError, Whose};
pub use members::Members;
pub use params::{ListKey, Params};
pub use path::{Id, Named, parse_id};
pub use stream::streamed;
