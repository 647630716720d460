//! What is no configuration at all gets a clear error, and never a panic.

use gatepost::config::{Config, Environment};
use proptest::prelude::*;

use super::{File, MINIMAL};

/// Bytes that look random and are the same in each run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(length)
    .collect()
}

#[test]
fn a_megabyte_of_noise_is_not_utf_8() {
    let told = File::new(noise(1 << 20)).refused();
    assert!(told.contains("the text is not UTF-8 from here on"), "{told}");
}

#[test]
fn a_megabyte_of_printable_noise_is_a_bounded_list() {
    let text: Vec<u8> =
        noise(1 << 20).iter().map(|b| if b % 32 == 0 { b'\n' } else { b' ' + b % 95 }).collect();
    let told = File::new(text).refused();
    assert!(told.lines().count() < 300, "{} lines", told.lines().count());
    assert!(told.contains(" more problems"), "{told}");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let told = File::new(vec![b'\n'; (4 << 20) + 1]).refused();
    assert!(told.contains("larger than 4 MiB"), "{told}");
}

#[test]
fn a_folder_is_not_a_file() {
    let file = File::new("");
    let error = Config::load(file.folder.path(), &Environment::new()).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn bad_bytes_have_a_place() {
    let told = File::new(b"[proxy]\nrealm = \"\xff\"\n").refused();
    assert!(told.starts_with("gatepost.toml:2:10: error: the text is not UTF-8"), "{told}");
    let told = File::new(b"[proxy]\nrealm = \"a\0b\"\n").refused();
    assert!(told.starts_with("gatepost.toml:2:11: error: "), "{told}");
}

#[test]
fn nesting_has_a_limit() {
    let depth = 100_000;
    for text in [
        format!("a = {}{}", "[".repeat(depth), "]".repeat(depth)),
        format!("a = {}", "{ a = ".repeat(depth)),
        format!("{}a = 1", "a.".repeat(depth)),
        format!("[{}a]", "a.".repeat(depth)),
    ] {
        File::new(text).refused();
    }
}

#[test]
fn line_ends_and_a_mark_of_windows_change_nothing() {
    File::new(MINIMAL.replace('\n', "\r\n")).load();
    File::new(format!("\u{feff}{MINIMAL}")).load();
    let told = File::new("\u{feff}x = 1\r\ny = 2\r\n").refused();
    assert!(told.contains("gatepost.toml:1:1: error: unknown section `x`"), "{told}");
    assert!(told.contains("gatepost.toml:2:1: error: unknown section `y`"), "{told}");
}

#[test]
fn control_bytes_are_not_printed() {
    let text = MINIMAL.replace("\"/{*rest}\"", r#""/\u001b[31m\u0000""#);
    let told = File::new(text).refused();
    assert!(told.chars().all(|c| c == '\n' || !c.is_control()), "{told:?}");
    let told = File::new(r#""\u001b[31m" = 1"#).refused();
    assert!(told.chars().all(|c| c == '\n' || !c.is_control()), "{told:?}");
}

fn load(text: &str) -> Result<Config, gatepost::config::ConfigError> {
    let file = File::new(text);
    Config::load(&file.path(), &file.environment)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = load(&text);
    }

    /// Nearer to what people write: a good file with something put in somewhere.
    #[test]
    fn no_slip_makes_it_panic(at in 0..MINIMAL.len(), slip in "[\\[\\]{}=\"'.,#$\\\\\n a-z0-9]{1,6}") {
        let at = MINIMAL.floor_char_boundary(at);
        let _ = load(&format!("{}{slip}{}", &MINIMAL[..at], &MINIMAL[at..]));
    }

    /// A file that broke off is never taken for a whole one that says less.
    #[test]
    fn half_a_file_is_refused_or_means_the_same_routes(at in 0..MINIMAL.len()) {
        if let Ok(config) = load(&MINIMAL[..MINIMAL.floor_char_boundary(at)]) {
            prop_assert_eq!(config.policy.routes().len(), 1);
        }
    }
}
