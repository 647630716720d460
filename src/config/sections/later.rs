//! Sections that are not built yet: read, so that a file is right when they are, and refused.
//! Whoever builds one moves its reader to a place of its own.

use crate::config::parse::{network, socket_address};
use crate::config::reader::Section;

pub fn later(root: &mut Section<'_>) {
    forward_auth(root);
}

fn forward_auth(root: &mut Section<'_>) {
    let Some(mut section) = root.not_yet_section("forward_auth") else { return };
    section.read("listen", socket_address);
    section.list("trusted_peers", network);
}
