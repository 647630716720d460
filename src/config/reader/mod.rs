//! Reads a TOML document into typed values and collects what is wrong instead of failing, so that
//! one run reports every mistake.
//!
//! A [`Section`] hands out the values of its keys; the keys that nobody took are reported when it
//! goes out of scope. A [`Value`] is read by exactly one typed accessor, which answers `None` after
//! it reported why. Values of the fixed sections can come from the environment instead of the file
//! ([`Overrides`]); from there on the two are read alike.

mod document;
mod interpolate;
mod lines;
mod overrides;
mod section;
mod value;

use std::cell::{Cell, RefCell};

use self::overrides::Overrides;
use super::{Environment, Problem, Problems, Severity};

pub(super) use self::document::Document;
pub(super) use self::section::Section;
pub(super) use self::value::Value;

/// More problems than this are counted instead of printed: nobody reads them.
const MAX_PROBLEMS: usize = 100;

/// Where something was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The file as a whole.
    File,
    /// A byte offset in the file.
    At(usize),
    /// An environment variable.
    Variable(String),
}

/// Why a text is not a value of some type. The reason goes on from the text (`is not a duration`).
/// Neither it nor the hint repeats the text, which may hold a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What all sections and values of one configuration share: the text, the environment and the
/// problems found so far.
pub(super) struct Reader<'d> {
    origin: &'d str,
    document: &'d Document<'d>,
    overrides: Overrides<'d>,
    found: RefCell<Vec<Found>>,
    failed: Cell<bool>,
}

struct Found {
    at: Place,
    severity: Severity,
    message: String,
    hint: Option<String>,
}

impl<'d> Reader<'d> {
    /// Begins with what is no TOML in the document.
    pub(super) fn new(
        document: &'d Document<'d>,
        origin: &'d str,
        environment: &'d Environment,
    ) -> Self {
        let overrides = Overrides::new(environment);
        let found = RefCell::default();
        let reader = Self { origin, document, overrides, found, failed: Cell::new(false) };
        for mistake in &document.mistakes {
            let (message, hint) = (mistake.message.clone(), mistake.hint.clone());
            reader.failed.set(true);
            reader.push(&Place::At(mistake.offset), Severity::Error, message, hint);
        }
        reader
    }

    pub(super) fn error(&self, at: &Place, message: impl Into<String>, hint: Option<String>) {
        self.failed.set(true);
        self.add(at, Severity::Error, message.into(), hint);
    }

    pub(super) fn warn(&self, at: &Place, message: impl Into<String>, hint: Option<String>) {
        self.add(at, Severity::Warning, message.into(), hint);
    }

    /// An error about something that is not there. While lines are broken it may well be on one of
    /// them, so nothing is said until they are mended.
    pub(super) fn absent(&self, at: &Place, message: impl Into<String>, hint: Option<String>) {
        if self.document.mistakes.is_empty() {
            self.error(at, message, hint);
        }
    }

    fn add(&self, at: &Place, severity: Severity, message: String, hint: Option<String>) {
        // What else a broken line seems to say is not worth a problem.
        let is_broken = |offset| self.document.broken.contains(&self.document.lines.line(offset));
        if !matches!(at, Place::At(offset) if is_broken(*offset)) {
            self.push(at, severity, message, hint);
        }
    }

    fn push(&self, at: &Place, severity: Severity, message: String, hint: Option<String>) {
        self.found.borrow_mut().push(Found { at: at.clone(), severity, message, hint });
    }

    /// The one-based line and column, if the place has them.
    pub(super) fn line_and_column(&self, at: &Place) -> Option<(usize, usize)> {
        match at {
            Place::At(offset) => Some(self.document.lines.place(*offset)),
            // What is missing is missing from the first line on.
            Place::File => Some((1, 1)),
            Place::Variable(_) => None,
        }
    }

    /// A place in words, to point at it from another.
    pub(super) fn locate(&self, at: &Place) -> String {
        match at {
            Place::Variable(name) => format!("in {name}"),
            Place::File | Place::At(_) => {
                let (line, column) = self.line_and_column(at).unwrap_or((1, 1));
                format!("at {line}:{column}")
            }
        }
    }

    pub(super) fn failed(&self) -> bool {
        self.failed.get()
    }

    /// Everything found, in the order of the file, the environment last.
    pub(super) fn finish(self) -> Problems {
        for (variable, hint) in self.overrides.unknown() {
            let message = "Gatepost knows no variable of this name, so it changes nothing";
            self.warn(&Place::Variable(variable), message, hint);
        }
        let mut found = self.found.take();
        found.sort_by(|a, b| a.at.cmp(&b.at));
        let more = found.len().saturating_sub(MAX_PROBLEMS);
        found.truncate(MAX_PROBLEMS);
        let mut problems: Vec<Problem> = found.into_iter().map(|f| self.problem(f)).collect();
        if more > 0 {
            problems.push(Problem {
                severity: if self.failed() { Severity::Error } else { Severity::Warning },
                origin: self.origin.to_owned(),
                place: None,
                message: format!("and {more} more problems"),
                hint: None,
            });
        }
        Problems(problems)
    }

    fn problem(&self, found: Found) -> Problem {
        let place = self.line_and_column(&found.at);
        let origin = match found.at {
            Place::Variable(name) => name,
            Place::File | Place::At(_) => self.origin.to_owned(),
        };
        let Found { severity, message, hint, .. } = found;
        Problem { severity, origin, place, message, hint }
    }
}
