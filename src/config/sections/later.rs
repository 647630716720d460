//! Sections that are not built yet: read, so that a file is right when they are, and refused.
//! Whoever builds one moves its reader to a place of its own.

use crate::config::parse::{entry_name, network, nothing_empty, quota, rate, socket_address};
use crate::config::reader::Section;

const MANY: u64 = 1_000_000;

pub fn later(root: &mut Section<'_>) {
    forward_auth(root);
    tiers(root);
    limits(root);
}

fn forward_auth(root: &mut Section<'_>) {
    let Some(mut section) = root.not_yet_section("forward_auth") else { return };
    section.read("listen", socket_address);
    section.list("trusted_peers", network);
}

fn tiers(root: &mut Section<'_>) {
    for (name, mut tier) in root.named("tiers") {
        name.parse(entry_name);
        tier.read("rate", rate);
        tier.count("burst", 1..=MANY);
        tier.read("quota", quota);
        root.reader().not_yet(tier.at(), "a tier");
    }
}

fn limits(root: &mut Section<'_>) {
    let Some(mut section) = root.not_yet_section("limits") else { return };
    section.read("default_tier", entry_name);
    if let Some(backend) = section.take("backend") {
        backend.hidden().parse(nothing_empty);
    }
}
