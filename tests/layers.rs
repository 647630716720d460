//! The law of the house: a room imports only rooms of lower layers, and doors never know each
//! other. This reads the source, so that the law holds without anybody remembering it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the bottom up. Rooms of one inner list do not know each other.
const LAYERS: &[&[&str]] = &[
    // 0 facts
    &["request"],
    &["key"],
    &["policy"],
    // 1 decision
    &["decision"],
    &["lockout"],
    // 2 services
    &["clock"],
    &["config"],
    &["secret_key"],
    &["assertion"],
    &["metrics"],
    &["telemetry"],
    &["store"],
    &["directory"],
    &["usage"],
    &["limits"],
    &["events"],
    &["guard"],
    &["health"],
    // 3 gate
    &["gate"],
    // 4 doors
    &["proxy", "management"],
    // 5 assembly
    &["server"],
    &["demo"],
    &["cli"],
];

/// Rooms that judge: no clock, no I/O, no runtime, no framework.
const PURE: &[&str] = &["request", "key", "policy", "decision", "lockout"];
const IMPURE_NAMES: &[&str] = &[
    "tokio",
    "pingora",
    "axum",
    "rusqlite",
    "tokio_postgres",
    "std::fs",
    "std::net::Tcp",
    "std::time::Instant",
    "SystemTime",
    "Timestamp::now",
    "tracing",
    "async fn",
    ".await",
];

fn source_files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            source_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Every source file with its room.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&src, &mut files);
    files
        .into_iter()
        .filter_map(|path| {
            let first = path.strip_prefix(&src).ok()?.components().next()?;
            let room = first.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).ok()?;
            (!["lib", "main"].contains(&room.as_str())).then_some((room, path, text))
        })
        .collect()
}

fn without_comments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default()))
}

/// The rooms that a line names: `crate::room` and `crate::{a, b::c}` on one line.
fn imported(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in line.split("crate::").skip(1) {
        let names = match part.strip_prefix('{') {
            Some(list) => list.split(['}', ';']).next().unwrap_or_default(),
            None => part,
        };
        for name in names.split(',').take(if part.starts_with('{') { usize::MAX } else { 1 }) {
            let room: String = name
                .trim()
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            if !room.is_empty() {
                found.push(room);
            }
        }
    }
    found
}

#[test]
fn every_room_has_its_layer() {
    let known: Vec<&str> = LAYERS.iter().flat_map(|layer| layer.iter().copied()).collect();
    for (room, path, _) in rooms() {
        assert!(
            known.contains(&room.as_str()),
            "{} is in no layer of tests/layers.rs",
            path.display()
        );
    }
}

#[test]
fn rooms_import_only_lower_layers() {
    let level: BTreeMap<&str, usize> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(n, layer)| layer.iter().map(move |room| (*room, n)))
        .collect();
    let mut wrong = Vec::new();
    let mut imports = 0;
    for (room, path, text) in rooms() {
        for (n, line) in without_comments(&text) {
            for other in imported(line) {
                let Some(theirs) = level.get(other.as_str()) else { continue };
                imports += 1;
                if other != room && *theirs >= level[room.as_str()] {
                    wrong.push(format!("{}:{n}: {room} imports {other}", path.display()));
                }
            }
        }
    }
    assert!(imports > 50, "the reader of imports found only {imports}: it reads nothing");
    assert!(wrong.is_empty(), "imports that go up:\n{}", wrong.join("\n"));
}

#[test]
fn judging_rooms_are_pure() {
    let mut wrong = Vec::new();
    for (room, path, text) in rooms() {
        if !PURE.contains(&room.as_str()) {
            continue;
        }
        for (n, line) in without_comments(&text) {
            for name in IMPURE_NAMES.iter().filter(|name| line.contains(**name)) {
                wrong.push(format!("{}:{n}: {room} uses {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "impure judging:\n{}", wrong.join("\n"));
}

#[test]
fn changes_go_through_the_directory() {
    let may = ["store", "directory", "cli", "demo"];
    for (room, path, text) in rooms() {
        for (n, line) in without_comments(&text) {
            let bypass = line.contains("store().commit(") || line.contains("store.commit(");
            assert!(
                !bypass || may.contains(&room.as_str()),
                "{}:{n}: {room} changes the store past the directory",
                path.display()
            );
        }
    }
}
