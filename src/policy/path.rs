use std::fmt;

use super::target::{Exceptions, check_path};

/// Deeper than any API, and a bound on the work of matching.
const MAX_SEGMENTS: usize = 64;
const MAX_LENGTH: usize = 2048;

/// A route's path: literals, `{param}` (one non-empty segment), `{*rest}` (one or more characters
/// at the end). `/a` and `/a/` are two paths: the second ends with an empty literal.
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

impl PatternError {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: None }
    }

    fn hint(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: Some(hint.into()) }
    }
}

impl PathPattern {
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_LENGTH {
            return Err(PatternError::new(format!("a path is at most {MAX_LENGTH} bytes long")));
        }
        let Some(rest) = text.strip_prefix('/') else {
            let hint = format!("write `/{text}`");
            return Err(PatternError::hint("a path begins with `/`", hint));
        };
        if text.contains('?') {
            let hint = "a route matches on the path alone; leave out the `?` and what follows";
            return Err(PatternError::hint("a path has no query", hint));
        }
        let segments: Vec<_> = rest.split('/').map(Segment::parse).collect::<Result<_, _>>()?;
        check_shape(&segments)?;
        check_literals(&segments)?;
        Ok(Self { text: text.into(), segments: segments.into() })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether it ends with `{*rest}`.
    pub fn takes_any_rest(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Rest(_)))
    }

    /// Whether `path` is exactly one of this pattern's, byte by byte.
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut rest = path.strip_prefix(b"/");
        for segment in &self.segments {
            let Some(remaining) = rest else { return false };
            let (head, tail) = split_segment(remaining);
            let fits = match segment {
                Segment::Literal(text) => text.as_bytes() == head,
                Segment::Param(_) => !head.is_empty(),
                Segment::Rest(_) => return !remaining.is_empty(),
            };
            if !fits {
                return false;
            }
            rest = tail;
        }
        rest.is_none()
    }

    /// Whether both match the same paths: what parameters are called makes no difference.
    pub(super) fn same_paths(&self, other: &PathPattern) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(a), Segment::Literal(b)) => a == b,
                (Segment::Param(_), Segment::Param(_)) => true,
                (Segment::Rest(_), Segment::Rest(_)) => true,
                _ => false,
            })
    }
}

/// The first segment, and what follows its slash if there is one.
pub(super) fn split_segment(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'/', path) {
        Some(end) => (&path[..end], Some(&path[end + 1..])),
        None => (path, None),
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, PatternError> {
        if let Some(name) = foreign_param(text) {
            let hint = format!("write `{{{name}}}`");
            return Err(PatternError::hint(
                format!("`{text}` is not how a parameter is written"),
                hint,
            ));
        }
        if text.contains('*') && text.trim_matches('*').is_empty() {
            let hint = "write `{*rest}` at the end, or `{name}` for one segment";
            return Err(PatternError::hint(
                format!("`{text}` is not how a wildcard is written"),
                hint,
            ));
        }
        let Some(inner) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) else {
            return Self::literal(text);
        };
        let (rest, name) = match inner.strip_prefix('*') {
            Some(name) => (true, name),
            None => (false, inner),
        };
        if !is_name(name) {
            return Err(bad_name(text, name));
        }
        Ok(if rest { Self::Rest(name.into()) } else { Self::Param(name.into()) })
    }

    fn literal(text: &str) -> Result<Self, PatternError> {
        if text.contains(['{', '}']) {
            let reason = format!("`{text}`: a parameter takes a whole segment");
            return Err(PatternError::hint(
                reason,
                "write `/{name}/`, and leave the rest to the upstream",
            ));
        }
        Ok(Self::Literal(text.into()))
    }
}

/// The name in `:id` or `<id>`, or in `<int:id>`, as other routers write it.
fn foreign_param(text: &str) -> Option<&str> {
    let name = match text.strip_prefix('<').and_then(|t| t.strip_suffix('>')) {
        Some(inner) => inner.rsplit(':').next()?,
        None => text.strip_prefix(':')?,
    };
    is_name(name).then_some(name)
}

fn bad_name(text: &str, name: &str) -> PatternError {
    let reason =
        format!("`{text}`: a parameter's name is a-z, 0-9 and _, and begins with no digit");
    if let Some(name) = name.strip_suffix("...").filter(|name| is_name(name)) {
        return PatternError::hint(reason, format!("write `{{*{name}}}`"));
    }
    match name.split_once([':', '?', '<', '=']) {
        Some((name, _)) if is_name(name) => {
            let hint = format!("write `{{{name}}}`; there are no expressions or types");
            PatternError::hint(reason, hint)
        }
        _ => {
            let lower = name.to_ascii_lowercase().replace('-', "_");
            let hint = is_name(&lower).then(|| format!("write `{{{lower}}}`"));
            PatternError { reason, hint }
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn check_shape(segments: &[Segment]) -> Result<(), PatternError> {
    if segments.len() > MAX_SEGMENTS {
        return Err(PatternError::new(format!("a path has at most {MAX_SEGMENTS} segments")));
    }
    let (last, before) = segments.split_last().map_or((None, segments), |(l, b)| (Some(l), b));
    if before.iter().any(|segment| matches!(segment, Segment::Rest(_))) {
        let hint = "use `{name}` for one segment in the middle";
        return Err(PatternError::hint("`{*…}` is only allowed at the end", hint));
    }
    let mut names: Vec<&str> = before.iter().chain(last).filter_map(Segment::name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(PatternError::new(format!("two parameters are called `{}`", pair[0]))),
        None => Ok(()),
    }
}

/// Literals must pass the grammar of request paths, or nothing could ever match them.
fn check_literals(segments: &[Segment]) -> Result<(), PatternError> {
    let sample: String = segments
        .iter()
        .flat_map(|segment| match segment {
            Segment::Literal(text) => ["/", text],
            Segment::Param(_) | Segment::Rest(_) => ["/", "x"],
        })
        .collect();
    let strict = |found: Exceptions| found.within(Exceptions::NONE);
    check_path(sample.as_bytes()).and_then(strict).map_err(|fault| {
        let hint = (!sample.is_ascii()).then(|| format!("write `{}`", encode_non_ascii(&sample)));
        PatternError { reason: format!("no request could match: {}", lower_first(fault.0)), hint }
    })
}

fn encode_non_ascii(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn lower_first(text: &str) -> String {
    text.chars().take(1).flat_map(char::to_lowercase).chain(text.chars().skip(1)).collect()
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Segment::Literal(_) => None,
            Segment::Param(name) | Segment::Rest(name) => Some(name),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> PatternError {
        PathPattern::parse(text).expect_err(text)
    }

    #[test]
    fn patterns_match_whole_paths_byte_by_byte() {
        for (pattern, yes, no) in [
            ("/", &["/"][..], &["", "/a", "//"][..]),
            ("/a", &["/a"], &["/a/", "/A", "/", "a", "/ab", "/a/b"]),
            ("/a/", &["/a/"], &["/a", "/a//", "/a/b"]),
            ("/a/{id}", &["/a/1", "/a/%20"], &["/a/", "/a", "/a/1/", "/a/1/b"]),
            ("/a/{id}/", &["/a/1/"], &["/a/1", "/a//"]),
            ("/a/{id}/b", &["/a/1/b"], &["/a//b", "/a/1/c"]),
            ("/a/{*rest}", &["/a/b", "/a/b/c", "/a/b/"], &["/a/", "/a", "/b/c"]),
            ("/{*rest}", &["/a", "/a/b"], &["/", ""]),
            ("/users:batch/x*y", &["/users:batch/x*y"], &["/users", "/users:batch/xzy"]),
        ] {
            let pattern = PathPattern::parse(pattern).unwrap();
            for path in yes {
                assert!(pattern.matches(path.as_bytes()), "{pattern} {path}");
            }
            for path in no {
                assert!(!pattern.matches(path.as_bytes()), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn other_routers_notations_are_translated() {
        for (text, hint) in [
            ("/users/:id", "write `{id}`"),
            ("/users/<id>", "write `{id}`"),
            ("/users/<int:id>", "write `{id}`"),
            ("/users/{id:[0-9]+}", "write `{id}`; there are no expressions or types"),
            ("/users/{path...}", "write `{*path}`"),
            ("/users/{userId}", "write `{userid}`"),
            ("/users/{user-id}", "write `{user_id}`"),
            ("/users/*", "write `{*rest}` at the end, or `{name}` for one segment"),
            ("/users/**", "write `{*rest}` at the end, or `{name}` for one segment"),
            ("users", "write `/users`"),
            ("/café", "write `/caf%C3%A9`"),
        ] {
            assert_eq!(error(text).hint.as_deref(), Some(hint), "{text}");
        }
    }

    #[test]
    fn what_could_never_match_or_would_match_twice_is_refused() {
        for text in [
            "",
            "/a//b",
            "/a/../b",
            "/./a",
            "/a;b",
            "/a%2Fb",
            "/a b",
            "/%61",
            "/a?b={c}",
            "/a#b",
            "/{*rest}/a",
            "/{id}/{id}",
            "/{id}/{*id}",
            "/{}",
            "/{*}",
            "/{1a}",
            "/{id",
            "/id}",
            "/{id}.json",
            "/v{n}/a",
            "/{a}{b}",
            "/a\0b",
        ] {
            assert!(PathPattern::parse(text).is_err(), "{text:?}");
        }
        assert!(PathPattern::parse(&"/a".repeat(64)).is_ok());
        assert!(PathPattern::parse(&"/a".repeat(65)).is_err());
        assert!(PathPattern::parse(&format!("/{}", "a".repeat(1 << 20))).is_err());
    }
}
