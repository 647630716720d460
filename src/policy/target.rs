//! Which request targets are taken: those that every parser reads the same way.
//!
//! Nothing is normalised. What would have to be is refused, since gateways that repair a path
//! after (or before) judging it have been got round again and again.

use unicode_normalization::UnicodeNormalization;

/// Why a request target is refused: a constant for the client's `detail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathFault(pub &'static str);

/// What a path may hold only on a route that says so, for an upstream that reads it as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// `%2f`, which is no end of a segment there.
    pub encoded_slash: bool,
    /// `;`, which begins a segment's parameters there.
    pub semicolon: bool,
}

impl Exceptions {
    pub const NONE: Self = Self { encoded_slash: false, semicolon: false };

    /// # Errors
    /// There are others than those `allowed`.
    pub fn within(self, allowed: Exceptions) -> Checked {
        if self.encoded_slash && !allowed.encoded_slash {
            return Err(PathFault("The path has an encoded slash"));
        }
        if self.semicolon && !allowed.semicolon {
            return Err(PathFault("The path has a semicolon"));
        }
        Ok(())
    }
}

type Checked = Result<(), PathFault>;

/// Accepts only targets that every parser reads the same way (design, section 3, step 1), but for
/// the exceptions that it returns. How long they may be is not asked here.
pub fn check_target(target: &[u8]) -> Result<Exceptions, PathFault> {
    let Some(end) = memchr::memchr(b'?', target) else { return check_path(target) };
    let exceptions = check_path(&target[..end])?;
    check_query(&target[end + 1..])?;
    Ok(exceptions)
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Refused,
    Plain,
    Slash,
    Percent,
    Semicolon,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Refused; 256];
    let plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~!$&'()*+,=:@-";
    let mut i = 0;
    while i < plain.len() {
        classes[plain[i] as usize] = Class::Plain;
        i += 1;
    }
    classes[b'/' as usize] = Class::Slash;
    classes[b'%' as usize] = Class::Percent;
    classes[b';' as usize] = Class::Semicolon;
    classes
};

/// One pass; only a path with escapes or semicolons is looked at again.
pub(super) fn check_path(path: &[u8]) -> Result<Exceptions, PathFault> {
    let Some(path) = path.strip_prefix(b"/") else {
        return Err(PathFault("The request target must be a path that begins with a slash"));
    };
    let mut start = 0;
    let mut escapes = false;
    let mut found = Exceptions::NONE;
    for (i, &byte) in path.iter().enumerate() {
        match CLASSES[usize::from(byte)] {
            Class::Plain => {}
            Class::Slash => {
                if start == i {
                    return Err(EMPTY_SEGMENT);
                }
                check_dots(&path[start..i])?;
                start = i + 1;
            }
            Class::Percent => escapes = true,
            Class::Semicolon => found.semicolon = true,
            Class::Refused => return Err(why_refused(byte)),
        }
    }
    // The last segment may be empty: `/a` and `/a/` are two paths.
    check_dots(&path[start..])?;
    if escapes || found.semicolon {
        for segment in path.split(|&b| b == b'/') {
            found.encoded_slash |= check_segment(segment)?;
        }
    }
    Ok(found)
}

fn check_dots(segment: &[u8]) -> Checked {
    match segment {
        b"." | b".." => Err(DOT_SEGMENT),
        _ => Ok(()),
    }
}

const DOT_SEGMENT: PathFault = PathFault("The path has a dot segment");
const EMPTY_SEGMENT: PathFault = PathFault("The path has an empty segment");

fn why_refused(byte: u8) -> PathFault {
    PathFault(match byte {
        b'#' => "The request target has a fragment",
        b'\\' => "The path has a backslash",
        0..0x20 | 0x7f => "The path has a control character",
        0x80.. => "The path has a character that is not ASCII and not percent-encoded",
        _ => "The path has a character that must be percent-encoded",
    })
}

/// A segment with escapes or parameters; whether it has an encoded slash.
fn check_segment(segment: &[u8]) -> Result<bool, PathFault> {
    let decoded = decode(segment)?;
    let slash = decoded.contains(&b'/');
    if slash || decoded.contains(&b';') {
        decoded.split(|&b| b == b'/').try_for_each(check_pieces)?;
    }
    if !decoded.is_ascii() {
        check_unicode(&decoded)?;
    }
    Ok(slash)
}

/// What stands between two slashes, perhaps encoded ones, to a reader who knows parameters.
fn check_pieces(text: &[u8]) -> Checked {
    if matches!(text.first(), None | Some(b';')) {
        return Err(EMPTY_SEGMENT);
    }
    text.split(|&b| b == b';').try_for_each(check_dots)
}

fn decode(segment: &[u8]) -> Result<Vec<u8>, PathFault> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            let high = rest.next().and_then(|&b| hex_digit(b));
            let low = rest.next().and_then(|&b| hex_digit(b));
            let (Some(high), Some(low)) = (high, low) else {
                return Err(PathFault("The path has an invalid percent-encoding"));
            };
            decoded.push(check_escaped(high << 4 | low)?);
        } else {
            decoded.push(byte);
        }
    }
    Ok(decoded)
}

pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What may hide behind an escape: no delimiter but an exceptional slash, and nothing that needs no
/// escape.
fn check_escaped(byte: u8) -> Result<u8, PathFault> {
    let reason = match byte {
        b'\\' => "The path has an encoded backslash",
        b'%' => "The path has an encoded percent sign",
        b';' | b'?' | b'#' => "The path has an encoded delimiter",
        0..0x20 | 0x7f => "The path has an encoded control character",
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            "The path has a percent-encoded character that needs no encoding"
        }
        _ => return Ok(byte),
    };
    Err(PathFault(reason))
}

/// What a parser that normalises would take for syntax: ASCII delimiters in their wide, small and
/// compatible forms.
fn check_unicode(segment: &[u8]) -> Checked {
    const DELIMITERS: &[char] = &['/', '\\', '?', '#', '%', ';', ':', '@', '[', ']'];
    let Ok(text) = std::str::from_utf8(segment) else {
        return Err(PathFault("The path is not valid UTF-8"));
    };
    // Compatibility forms decompose one character at a time. A delimiter that stands in the path
    // as itself has been judged already.
    let disguised =
        |c: char| !c.is_ascii() && std::iter::once(c).nfkc().any(|d| DELIMITERS.contains(&d));
    if text.chars().any(disguised) {
        return Err(PathFault("The path has a Unicode form of a delimiter"));
    }
    if text.chars().any(char::is_control) {
        return Err(PathFault("The path has an encoded control character"));
    }
    let folded: String = text.nfkc().collect();
    folded.split(['/', ';']).try_for_each(|piece| check_dots(piece.as_bytes()))
}

/// A query is the application's own, so that only what could end it or break a line is refused:
/// control characters, space, `#`, anything beyond ASCII, and `"`, `<`, `>`, `\`. The rest that
/// clients send raw (`[ ] { } | ^` and the backtick, as the URL standard lets them) passes.
fn check_query(query: &[u8]) -> Checked {
    let passes =
        |&b: &u8| matches!(b, b'!'..=b'~') && !matches!(b, b'#' | b'"' | b'<' | b'>' | b'\\');
    match query.iter().find(|b| !passes(b)) {
        None => Ok(()),
        Some(b'#') => Err(PathFault("The request target has a fragment")),
        Some(_) => Err(PathFault("The query has a character that must be percent-encoded")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(target: &str) -> &'static str {
        let strict = |found: Exceptions| found.within(Exceptions::NONE);
        check_target(target.as_bytes()).and_then(strict).expect_err(target).0
    }

    #[test]
    fn ordinary_targets_pass() {
        for target in [
            "/",
            "/a/",
            "/api/v1/orders/7",
            "/a.b/..c/d../...",
            "/~user/(x)/a,b=c:d@e/$1*!'&+",
            "/caf%C3%A9/%E4%BD%A0%e5%a5%bd",
            "/with%20space/%22quoted%22/%5Bx%5D",
            "/a?",
            "/a?q=1&filter[name]={x}|y^z`&path=../x;y//z&bad=%zz%00",
        ] {
            assert_eq!(check_target(target.as_bytes()), Ok(Exceptions::NONE), "{target}");
        }
    }

    #[test]
    fn each_fault_has_its_own_reason() {
        for (target, reason) in [
            ("", "begins with a slash"),
            ("admin", "begins with a slash"),
            ("*", "begins with a slash"),
            ("http://h/a", "begins with a slash"),
            ("//a", "empty segment"),
            ("/a//", "empty segment"),
            ("/a/./b", "dot segment"),
            ("/a/..", "dot segment"),
            ("/a#b", "fragment"),
            ("/a?b#c", "fragment"),
            ("/a\\b", "backslash"),
            ("/a;b", "semicolon"),
            ("/a\tb", "control character"),
            ("/a\u{7f}", "control character"),
            ("/café", "not ASCII"),
            ("/a b", "must be percent-encoded"),
            ("/a|b", "must be percent-encoded"),
            ("/a%2Fb", "encoded slash"),
            ("/a%5cb", "encoded backslash"),
            ("/%252e", "encoded percent sign"),
            ("/a%3bb", "encoded delimiter"),
            ("/a%3Fb", "encoded delimiter"),
            ("/a%23b", "encoded delimiter"),
            ("/a%00", "encoded control character"),
            ("/a%C2%85", "encoded control character"),
            ("/%2e%2e/", "needs no encoding"),
            ("/%61dmin", "needs no encoding"),
            ("/a%", "invalid percent-encoding"),
            ("/a%4", "invalid percent-encoding"),
            ("/a%u002f", "invalid percent-encoding"),
            ("/a%C3/%A9", "not valid UTF-8"),
            ("/%C0%AF", "not valid UTF-8"),
            ("/%EF%BC%8F", "Unicode form of a delimiter"),
            ("/%E2%84%80", "Unicode form of a delimiter"),
            ("/%CD%BE", "Unicode form of a delimiter"),
            ("/%E2%80%A5/", "dot segment"),
            ("/%EF%BC%8E%EF%BC%8E", "dot segment"),
            ("/%EF%BC%8E./x", "dot segment"),
            ("/a?b c", "query"),
            ("/a?b\\c", "query"),
            ("/a?é", "query"),
            ("/a?\r\n", "query"),
        ] {
            let found = fault(target);
            assert!(found.contains(reason), "{target:?}: {found}");
        }
    }

    #[test]
    fn exceptions_are_told_and_hide_nothing() {
        let found = |target: &str| {
            let found = check_target(target.as_bytes()).expect(target);
            (found.encoded_slash, found.semicolon)
        };
        assert_eq!(found("/projects/group%2Fname"), (true, false));
        assert_eq!(found("/seats;row=7;class=b/x"), (false, true));
        assert_eq!(found("/a%2fb;c/d"), (true, true));
        for (target, reason) in [
            ("/a%2f..%2fb", "dot segment"),
            ("/a%2f.", "dot segment"),
            ("/a/..%2fb", "dot segment"),
            ("/..;/b", "dot segment"),
            ("/a;../b", "dot segment"),
            ("/a;x%2f..", "dot segment"),
            ("/a%2f%EF%BC%8E%EF%BC%8E", "dot segment"),
            ("/a%2f%2fb", "empty segment"),
            ("/a%2f/b", "empty segment"),
            ("/%2fa", "empty segment"),
            ("/;a", "empty segment"),
            ("/a/;b/c", "empty segment"),
            ("/a%2f;b", "empty segment"),
            ("/a%2f%5cb", "encoded backslash"),
            ("/a;%3bb", "encoded delimiter"),
            ("/a%252fb", "encoded percent sign"),
        ] {
            let found = check_target(target.as_bytes()).expect_err(target).0;
            assert!(found.contains(reason), "{target:?}: {found}");
        }
    }
}
