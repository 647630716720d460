//! Hostile requests over raw sockets, against the real program and an upstream that keeps every
//! byte it is sent. Grouped as the ways in which gateways like ours were got round.
//!
//! Each group is a table. A request is either refused, or it is let in and the table says what the
//! upstream has to see; what holds for all of them is in [`arena`].

mod arena;
mod canaries;
mod connections;
mod credentials;
mod floods;
mod framing;
mod headers;
mod http2;
mod path;
mod recorder;
mod responses;
mod secrets;
mod websocket;

use arena::{Arena, Attack};

type Table = fn() -> Vec<Attack>;

/// The README tells these numbers.
const GROUPS: [(&str, usize, Table); 4] = [
    ("path and target", path::COUNT, path::attacks),
    ("headers and identity", headers::COUNT, headers::attacks),
    ("framing and protocol", framing::COUNT, framing::attacks),
    ("credentials", credentials::COUNT, credentials::attacks),
];

#[test]
fn the_readme_tells_how_many_there_are() {
    let readme = include_str!("../../../README.md");
    let mut all = 0;
    for (group, count, attacks) in GROUPS {
        assert_eq!(attacks().len(), count, "{group}");
        assert!(readme.contains(&format!("| {group} | {count} |")), "{group}: {count}");
        all += count;
    }
    assert!(all >= 300, "{all}");
    assert!(readme.contains(&format!("{all} hostile requests")), "{all}");
}

async fn fight(attacks: Vec<Attack>) {
    let arena = Arena::open().await;
    let mut lost = Vec::new();
    for attack in &attacks {
        if let Err(how) = arena.face(attack).await {
            lost.push(format!("{attack}: {how}"));
        }
    }
    assert!(lost.is_empty(), "{} of {}:\n{}", lost.len(), attacks.len(), lost.join("\n"));
    arena.still_serves().await;
}

#[tokio::test]
async fn path_and_target() {
    fight(path::attacks()).await;
}

#[tokio::test]
async fn headers_and_identity() {
    fight(headers::attacks()).await;
}

#[tokio::test]
async fn framing_and_protocol() {
    fight(framing::attacks()).await;
}

#[tokio::test]
async fn wrong_credentials() {
    fight(credentials::attacks()).await;
}
