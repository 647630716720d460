//! Sections that are not built yet: read, so that a file is right when they are, and refused.
//! Whoever builds one moves its reader to a place of its own.

use crate::config::parse::{duration, network, nothing_empty, one_of, rate, socket_address};
use crate::config::reader::Section;

const MANY: u64 = 1_000_000;

pub fn later(root: &mut Section<'_>) {
    forward_auth(root);
    lockout(root);
    webhooks(root);
}

fn forward_auth(root: &mut Section<'_>) {
    let Some(mut section) = root.not_yet_section("forward_auth") else { return };
    section.read("listen", socket_address);
    section.list("trusted_peers", network);
}

fn lockout(root: &mut Section<'_>) {
    let Some(mut section) = root.not_yet_section("lockout") else { return };
    section.read("window", duration);
    section.count("guesses", 1..=MANY);
    section.count("misuses", 1..=MANY);
    section.read("lock_for", duration);
    section.read("on_misuse", one_of(&["lock-account", "lock-key", "alert"]));
    section.read("settle", duration);
    section.flag("spare_known_sources");
    section.read("source_failures", rate);
}

fn webhooks(root: &mut Section<'_>) {
    for mut entry in root.entries("webhooks") {
        for secret in [entry.take("url"), entry.take("secret")].into_iter().flatten() {
            secret.hidden().parse(nothing_empty);
        }
        entry.list("events", nothing_empty);
        root.reader().not_yet(entry.at(), "a webhook");
    }
}
