//! The grammar of paths: what is refused because two parsers could read it two ways.

use std::fmt;

/// A route's path: literals, `{param}` (one non-empty segment), `{*rest}` (one or more characters
/// at the end). `/a` and `/a/` are two paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
    text: Box<str>,
    segments: Box<[Segment]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    Literal(Box<str>),
    Param(Box<str>),
    Rest(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PatternError {
    pub reason: String,
    pub hint: Option<String>,
}

impl PathPattern {
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let _ = text;
        todo!()
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a request target is refused: a constant for the client's `detail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathFault(pub &'static str);

/// Accepts only targets that every parser reads the same way (design, section 3, step 1).
pub fn check_target(target: &[u8]) -> Result<(), PathFault> {
    let _ = target;
    todo!()
}
