use std::io::Write;
use std::process::{Command, Output, Stdio};

use gatepost::key::{Environment, IdKey, MintedKey};

use crate::support::gateway::BINARY;

fn scan(words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(BINARY).arg("scan").args(words).env_clear().output();
    told(output.expect("the program starts"))
}

fn told(output: Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

fn a_key() -> MintedKey {
    MintedKey::new(&Environment::default(), &IdKey::from_bytes([7; 32])).expect("randomness")
}

#[test]
fn a_leaked_key_is_found_and_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (a_key(), a_key());
    std::fs::create_dir_all(dir.path().join("src/.git/objects")).unwrap();
    std::fs::write(dir.path().join("src/app.py"), format!("a\nKEY = '{}'\n", one.secret.reveal()))
        .unwrap();
    std::fs::write(dir.path().join("src/.git/config"), two.secret.reveal()).unwrap();
    std::fs::write(dir.path().join("src/.git/objects/x"), a_key().secret.reveal()).unwrap();
    std::fs::write(dir.path().join("README"), "gp_live_0123456789ABCDEF_nothing").unwrap();
    let link = dir.path().join("loop");
    std::os::unix::fs::symlink(dir.path(), link).unwrap();

    let folder = dir.path().to_str().unwrap();
    let (exit, found) = scan(&[folder]);
    assert_eq!(exit, Some(7));
    let expected = format!(
        "{folder}/src/.git/config:1: {}\n{folder}/src/app.py:2: {}\n",
        two.lookup_id, one.lookup_id
    );
    assert_eq!(found, expected);

    std::fs::remove_dir_all(dir.path().join("src")).unwrap();
    assert_eq!(scan(&[folder]), (Some(0), String::new()));
}

#[test]
fn standard_input_is_scanned_too() {
    let key = a_key();
    let mut child = Command::new(BINARY)
        .args(["scan", "-"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    write!(stdin, "+ key: {}", key.secret.reveal()).expect("it reads");
    drop(stdin);
    let (exit, found) = told(child.wait_with_output().expect("it ends"));
    assert_eq!((exit, found), (Some(7), format!("-:1: {}\n", key.lookup_id)));
}

#[test]
fn what_cannot_be_read_is_not_clean() {
    let output = Command::new(BINARY).args(["scan", "/nowhere"]).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere"));
}
