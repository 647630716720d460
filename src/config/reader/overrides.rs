use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Read;

use crate::config::Environment;
use crate::config::parse::nearest_name;

const PREFIX: &str = "GATEPOST_";

/// Variables that the command line reads, not the configuration.
const COMMAND_LINE: [&str; 3] = ["GATEPOST_SERVER", "GATEPOST_KEY", "GATEPOST_KEY_FILE"];

/// A mounted secret is a line or two; more is the wrong file.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// The environment's say in the settings, and which of its names were asked for.
pub struct Overrides<'e> {
    environment: &'e Environment,
    asked: RefCell<BTreeSet<String>>,
}

/// A value that the environment gives.
pub(super) struct Given {
    pub(super) variable: String,
    pub(super) text: Result<String, String>,
    /// It came from a file that is there to keep it from being seen.
    pub(super) secret: bool,
}

impl<'e> Overrides<'e> {
    pub(super) fn new(environment: &'e Environment) -> Self {
        Self { environment, asked: RefCell::default() }
    }

    pub(super) fn environment(&self) -> &'e Environment {
        self.environment
    }

    /// `GATEPOST_<SECTION>_<KEY>`.
    pub(super) fn name(section: &str, key: &str) -> String {
        format!("{PREFIX}{section}_{key}").to_ascii_uppercase()
    }

    /// The value of `name`, or the content of the file that `<name>_FILE` names.
    pub(super) fn find(&self, name: &str) -> Option<Given> {
        let file_name = format!("{name}_FILE");
        let direct = self.environment.get(name);
        let file = self.environment.get(&file_name);
        let given = match (direct, file) {
            (None, None) => None,
            (Some(text), None) => {
                Some(Given { variable: name.into(), text: Ok(text.clone()), secret: false })
            }
            (None, Some(path)) => {
                Some(Given { variable: file_name.clone(), text: read_secret(path), secret: true })
            }
            (Some(_), Some(_)) => Some(Given {
                variable: file_name.clone(),
                text: Err(format!("{name} is set as well: keep one of the two")),
                secret: true,
            }),
        };
        self.asked.borrow_mut().extend([name.to_owned(), file_name]);
        given
    }

    /// Names of ours in the environment that nobody asked for, with a hint.
    pub(super) fn unknown(&self) -> Vec<(String, Option<String>)> {
        let asked = self.asked.borrow();
        let ours = self.environment.keys().filter(|name| name.starts_with(PREFIX));
        // What all of them begin with makes no two of them alike.
        let known = || asked.iter().filter_map(|name| name.strip_prefix(PREFIX));
        let hint = |name: &str| {
            let meant = nearest_name(name.strip_prefix(PREFIX)?, known())?;
            Some(format!("did you mean `{PREFIX}{meant}`?"))
        };
        ours.filter(|name| !asked.contains(*name) && !COMMAND_LINE.contains(&name.as_str()))
            .map(|name| (name.clone(), hint(name)))
            .collect()
    }
}

/// The content of a mounted secret, without the newline that editors leave at its end.
fn read_secret(path: &str) -> Result<String, String> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_SECRET_FILE + 1).read_to_string(&mut text))
        .map_err(|cause| format!("the file that it names cannot be read: {cause}"))?;
    if text.len() as u64 > MAX_SECRET_FILE {
        return Err("the file that it names is larger than 64 KiB".into());
    }
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    Ok(text)
}
