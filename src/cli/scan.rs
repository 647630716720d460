use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memchr::{memchr_iter, memmem};

use super::exit::{Exit, Failed};
use super::{complain, print};
use crate::key::{LookupId, MAX_KEY, MIN_KEY, PREFIX, ParsedKey};

/// What is read at a time, so that a file of any size needs little memory.
const CHUNK: usize = 256 * 1024;

/// Prints the place and the lookup id of every key, never the key itself.
pub fn run(paths: &[PathBuf]) -> Result<Exit, Failed> {
    let mut sweep = Sweep::default();
    for path in paths {
        if path.as_os_str() == "-" {
            sweep.stream(Path::new("-"), &mut io::stdin().lock())?;
        } else {
            sweep.visit(path)?;
        }
    }
    match (sweep.found, sweep.unread) {
        (0, 0) => Ok(Exit::Ok),
        (0, unread) => {
            Err(Failed::new(Exit::Failure, format!("error: {unread} paths could not be read")))
        }
        _ => Ok(Exit::Denied),
    }
}

#[derive(Default)]
struct Sweep {
    found: usize,
    unread: usize,
}

impl Sweep {
    /// A file, or a folder with all that is in it. Links are not followed: they could lead round
    /// in a circle, and what they lead to has its own place.
    fn visit(&mut self, start: &Path) -> Result<(), Failed> {
        let mut left = vec![start.to_owned()];
        while let Some(path) = left.pop() {
            let looked = if path == start { path.metadata() } else { path.symlink_metadata() };
            let opened = match looked {
                Ok(what) if what.is_dir() => {
                    match entries(&path) {
                        Ok(entries) => left.extend(entries),
                        Err(error) => self.skip(&path, &error),
                    }
                    continue;
                }
                // Pipes and devices could have no end.
                Ok(what) if !what.is_file() => continue,
                Ok(_) => File::open(&path),
                Err(error) => Err(error),
            };
            match opened {
                Ok(mut file) => self.stream(&path, &mut file)?,
                Err(error) => self.skip(&path, &error),
            }
        }
        Ok(())
    }

    fn stream(&mut self, path: &Path, input: &mut dyn Read) -> Result<(), Failed> {
        let mut lines = String::new();
        let read = find_keys(input, &mut |line, id| {
            self.found += 1;
            lines.push_str(&format!("{}:{line}: {id}\n", path.display()));
        });
        print(lines.as_bytes())?;
        if let Err(error) = read {
            self.skip(path, &error);
        }
        Ok(())
    }

    fn skip(&mut self, path: &Path, error: &io::Error) {
        self.unread += 1;
        complain(&format!("{}: {error}", path.display()));
    }
}

/// What is in a folder, in an order that leads to sorted output. Git's objects are compressed, so
/// that nothing could be found in them: `git log -p | gatepost scan -` reads the history.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.ends_with(".git/objects") {
            entries.push(path);
        }
    }
    entries.sort();
    entries.reverse();
    Ok(entries)
}

/// Calls `found` with the line and the lookup id of every key in `input`, whatever bytes there are
/// around it.
fn find_keys(input: &mut dyn Read, found: &mut dyn FnMut(u64, LookupId)) -> io::Result<()> {
    let prefix = memmem::Finder::new(PREFIX);
    let mut buffer = Vec::with_capacity(CHUNK + MAX_KEY);
    let mut line = 1;
    loop {
        let read = input.take(CHUNK as u64).read_to_end(&mut buffer)?;
        // A key that begins here ends in the buffer, unless it is in what is kept for the next
        // round.
        let done = if read == 0 { buffer.len() } else { buffer.len().saturating_sub(MAX_KEY - 1) };
        let mut counted = 0;
        for at in prefix.find_iter(&buffer).take_while(|at| *at < done) {
            if let Some(id) = key_at(&buffer[at..]) {
                line += newlines(&buffer[counted..at]);
                counted = at;
                found(line, id);
            }
        }
        line += newlines(&buffer[counted..done]);
        if read == 0 {
            return Ok(());
        }
        buffer.drain(..done);
    }
}

/// The key that `bytes` begin with: the one length for which shape and checksum are right.
fn key_at(bytes: &[u8]) -> Option<LookupId> {
    (MIN_KEY..=MAX_KEY)
        .filter_map(|length| bytes.get(..length))
        .find_map(|key| ParsedKey::parse(key).ok())
        .map(|key| key.lookup_id)
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Environment, IdKey, MintedKey};

    fn key(environment: &str) -> MintedKey {
        let environment = Environment::parse(environment).unwrap();
        MintedKey::new(&environment, &IdKey::from_bytes([7; 32])).unwrap()
    }

    fn found(text: &[u8]) -> Vec<(u64, LookupId)> {
        let mut found = Vec::new();
        find_keys(&mut &*text, &mut |line, id| found.push((line, id))).unwrap();
        found
    }

    #[test]
    fn keys_are_found_among_any_bytes() {
        let (one, two) = (key("live"), key("ab"));
        let mut text = b"\xff\x00x\n\nkey=gp_\"".to_vec();
        text.extend(one.secret.reveal().bytes());
        text.extend(b"\"tail gp_live_0123456789ABCDEF_short\n\xfe");
        text.extend(two.secret.reveal().bytes());
        assert_eq!(found(&text), [(3, one.lookup_id), (4, two.lookup_id)]);
    }

    #[test]
    fn a_mistyped_key_is_none() {
        let text = key("live").secret.reveal().replace("gp_live", "gp_life");
        assert!(found(text.as_bytes()).is_empty());
    }

    #[test]
    fn a_key_over_the_edge_of_a_chunk_is_found_once() {
        let key = key("abcdefghijkl");
        for before in (CHUNK - MAX_KEY - 2..CHUNK + 2).step_by(7) {
            let mut text = vec![b'\n'; before];
            text.extend(key.secret.reveal().bytes());
            text.extend(vec![b'.'; CHUNK]);
            assert_eq!(found(&text), [(before as u64 + 1, key.lookup_id)]);
        }
    }
}
