//! A configuration is valid, or its problems are told: never a panic, never without a word.
#![no_main]

use gatepost::config::{Config, ConfigError, Environment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("gatepost.toml");
    std::fs::write(&path, text).expect("the folder is writable");
    match Config::load(&path, &Environment::from([])) {
        Ok(config) => assert!(!config.proxy.listen.is_empty()),
        Err(ConfigError::Invalid(problems)) => assert!(!problems.to_string().is_empty()),
        Err(ConfigError::Read { .. }) => unreachable!("the file is there"),
    }
});
