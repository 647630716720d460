//! The README tells the truth about what the code says too.

use gatepost::decision::{Denial, Failure};

const README: &str = include_str!("../README.md");

#[test]
fn every_refusal_is_in_the_readme_with_its_status() {
    for denial in Denial::ALL {
        let code = format!("`{}`", denial.code());
        let row = README
            .lines()
            .find(|line| line.starts_with('|') && line.contains(&code))
            .unwrap_or_else(|| panic!("{code} is missing in the table of refusals"));
        let status = denial.status().as_u16().to_string();
        assert!(row.contains(&status), "{code} is {status}: {row}");
    }
    for failure in Failure::ALL {
        assert!(README.contains(&format!("`{}`", failure.code())), "{} is missing", failure.code());
    }
}

#[test]
fn the_configuration_in_the_readme_is_valid() {
    let start = README.find("```toml\n").expect("there is a configuration") + "```toml\n".len();
    let end = start + README[start..].find("```").expect("and it ends");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("gatepost.toml");
    std::fs::write(&path, &README[start..end]).expect("it is writable");
    let config = gatepost::config::Config::load(&path, &Default::default());
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}
