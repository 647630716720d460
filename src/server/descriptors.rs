//! File descriptors: as many as the system grants, and some kept back for ourselves. Without one
//! the store, the spool and the log fail at the very time when clients come in crowds.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A client's connection, and the one to the upstream behind it.
const EACH: u64 = 2;

/// Kept for management, the store, the spool and what is open from the start: this many, or a
/// quarter where there are few.
const OURS: u64 = 1_024;

/// Asks for as many descriptors as this process may have. Answers how many connections these
/// suffice for, `wanted` at most.
pub fn connections(wanted: usize) -> usize {
    let Some(most) = raise() else { return wanted };
    let fitting = fitting(most);
    if fitting >= wanted {
        return wanted;
    }
    tracing::warn!(
        max_connections = wanted,
        descriptors = most,
        fitting,
        "fewer connections are taken than configured: raise the limit on open files"
    );
    fitting
}

/// `None` is no limit.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

fn fitting(descriptors: u64) -> usize {
    let for_clients = descriptors - OURS.min(descriptors / 4);
    usize::try_from(for_clients / EACH).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_kept_back() {
        assert_eq!(fitting(1_048_576), 523_776);
        assert_eq!(fitting(1_024), 384);
        assert_eq!(fitting(256), 96);
        assert_eq!(fitting(0), 1);
    }
}
