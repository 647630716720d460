//! The files that we ship are good, and the reference leaves nothing out.

use gatepost::cli::{Checked, check};
use gatepost::config::{Config, Environment, Severity};

use super::{File, shipped};

const REFERENCE: &str = include_str!("../../../config/gatepost.toml");

#[test]
fn every_file_that_we_ship_is_good_and_passes_its_tests() {
    let files = shipped();
    assert!(files.len() >= 7, "{files:?}");
    for path in files {
        let config = Config::load(&path, &Environment::new()).unwrap_or_else(|e| panic!("{e}"));
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        let mut out = Vec::new();
        let checked = check(&path, &Environment::new(), &mut out).unwrap();
        assert_eq!(checked, Checked::Valid, "{}", String::from_utf8_lossy(&out));
    }
}

/// The keys of a section, as it tells them itself when it meets one that it does not know.
fn keys_of(section: &str) -> Vec<String> {
    let told = File::new(format!("{section}\n")).refused();
    let hint = told.split("qqqqq").nth(1).and_then(|rest| rest.split_once("it takes "));
    let keys = hint.unwrap_or_else(|| panic!("{section}: {told}")).1.lines().next().unwrap();
    keys.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_reference_names_every_key() {
    for section in [
        "qqqqq = 1",
        "[proxy]\nqqqqq = 1",
        "[proxy]\nlisten = [{ qqqqq = 1 }]",
        "[management]\nqqqqq = 1",
        "[forward_auth]\nqqqqq = 1",
        "[store]\nqqqqq = 1",
        "[tiers.free]\nqqqqq = 1",
        "[limits]\nqqqqq = 1",
        "[upstreams.a]\nqqqqq = 1",
        "[upstreams.a]\nservers = [{ qqqqq = 1 }]",
        "[upstreams.a]\nhealth_check = { qqqqq = 1 }",
        "[upstreams.a]\ntimeouts = { qqqqq = 1 }",
        "[[routes]]\nqqqqq = 1",
        "[[routes]]\ntimeouts = { qqqqq = 1 }",
        "[[routes]]\ncors = { qqqqq = 1 }",
        "[[tests]]\nqqqqq = 1",
        "[cache]\nqqqqq = 1",
        "[usage]\nqqqqq = 1",
        "[log]\nqqqqq = 1",
        "[lockout]\nqqqqq = 1",
        "[[webhooks]]\nqqqqq = 1",
    ] {
        let header = section.lines().next().unwrap().split(['.', ']']).next().unwrap();
        let part = match header.strip_prefix('[') {
            Some(_) => REFERENCE.split_once(header).unwrap_or_else(|| panic!("no {header}")).1,
            None => REFERENCE,
        };
        for key in keys_of(section) {
            let is_there = part.contains(&format!("{key} = ")) || part.contains(&format!("[{key}"));
            assert!(is_there, "{header} {key} is not in the reference");
        }
    }
}

/// Whoever takes the `#` away from a line that is not available yet is told just that.
#[test]
fn the_reference_knows_what_it_comments_out() {
    let uncommented: Vec<&str> = REFERENCE.lines().map(uncomment).collect();
    let file = File::new(uncommented.join("\n"));
    let environment = Environment::from([("WEBHOOK_SECRET".into(), "x".repeat(24))]);
    let gatepost::config::ConfigError::Invalid(problems) =
        Config::load(&file.path(), &environment).unwrap_err()
    else {
        panic!("the file was not read")
    };
    let unknown: Vec<_> = problems
        .0
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .filter(|problem| {
            let expected = ["not available yet", "exclude each other", "duplicate key"];
            !expected.iter().any(|part| problem.message.contains(part))
        })
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// A commented key or section without its `# `; prose stays what it is.
fn uncomment(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("# ") else { return line };
    let word = rest.split([' ', ']']).next().unwrap_or_default();
    let is_key = rest[word.len()..].starts_with(" = ")
        && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_key || rest.starts_with('[') { rest } else { line }
}
