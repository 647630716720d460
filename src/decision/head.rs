//! The few headers that say where a request is for and where it ends, as they came from the wire.

use http::{HeaderMap, Version, header};

use super::Denial;
use super::shape::{Fault, invalid};
use crate::request::RequestView;

const MAX_HEAD: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<'a> {
    #[default]
    Absent,
    Once(&'a [u8]),
    Repeated,
}

impl<'a> Field<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Field::Absent => Field::Once(value.trim_ascii()),
            Field::Once(_) | Field::Repeated => Field::Repeated,
        };
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    pub host: Field<'a>,
    pub content_length: Field<'a>,
    pub transfer_encoding: Field<'a>,
    pub expect: Field<'a>,
}

impl<'a> Head<'a> {
    /// From the bytes of the wire where there are any: what a framework has parsed, it may have
    /// repaired.
    pub fn read(view: &RequestView<'a>) -> Result<Self, Fault> {
        match view.raw_head {
            Some(bytes) => Self::from_wire(bytes, view),
            None => Self::from_headers(view.headers),
        }
    }

    fn from_headers(headers: &'a HeaderMap) -> Result<Self, Fault> {
        // As on the wire: `name: value` and the end of the line.
        let size: usize = headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
        if headers.len() > MAX_HEADERS || size > MAX_HEAD {
            return Err(Denial::HeadersTooLarge.into());
        }
        let field = |name| {
            let mut field = Field::Absent;
            headers.get_all(name).iter().for_each(|value| field.add(value.as_bytes()));
            field
        };
        Ok(Self {
            host: field(header::HOST),
            content_length: field(header::CONTENT_LENGTH),
            transfer_encoding: field(header::TRANSFER_ENCODING),
            expect: field(header::EXPECT),
        })
    }

    fn from_wire(bytes: &'a [u8], view: &RequestView<'_>) -> Result<Self, Fault> {
        if bytes.len() > MAX_HEAD {
            return Err(Denial::HeadersTooLarge.into());
        }
        let mut lines = Lines { rest: bytes };
        // Empty lines before the request line are to be ignored (RFC 9112, section 2.2).
        let request_line = loop {
            match lines.next().transpose()? {
                Some([]) => continue,
                Some(line) => break line,
                None => return Err(invalid("The request has no request line")),
            }
        };
        if !is_request_line_of(request_line, view) {
            return Err(invalid("The request line is malformed"));
        }
        let mut head = Self::default();
        let mut count = 0;
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            count += 1;
            if count > MAX_HEADERS {
                return Err(Denial::HeadersTooLarge.into());
            }
            let (name, value) = split_header(line)?;
            head.add(name, value);
        }
        Ok(head)
    }

    fn add(&mut self, name: &[u8], value: &'a [u8]) {
        // Most names differ in length already.
        let (wanted, field): (&[u8], _) = match name.len() {
            4 => (b"host", &mut self.host),
            6 => (b"expect", &mut self.expect),
            14 => (b"content-length", &mut self.content_length),
            17 => (b"transfer-encoding", &mut self.transfer_encoding),
            _ => return,
        };
        if name.eq_ignore_ascii_case(wanted) {
            field.add(value);
        }
    }
}

/// The lines of a head without their ends. One that ends otherwise than in CR LF is a fault, and
/// so is any control character; the door may leave out the very last end.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let line = match memchr::memchr(b'\n', self.rest) {
            Some(end) => {
                let line = &self.rest[..end];
                self.rest = &self.rest[end + 1..];
                match line.strip_suffix(b"\r") {
                    Some(line) => line,
                    None => return Some(Err(invalid("A line ends in LF without CR"))),
                }
            }
            None => std::mem::take(&mut self.rest),
        };
        // Without an early exit, so that the compiler takes many bytes at a time.
        let control =
            line.iter().fold(false, |found, &b| found | (b < b' ' && b != b'\t') | (b == 0x7f));
        Some(if control { Err(invalid("The head has a control character")) } else { Ok(line) })
    }
}

/// Byte by byte what the door says that it was: the bytes looked at here are of this request.
fn is_request_line_of(line: &[u8], view: &RequestView<'_>) -> bool {
    let version: &[u8] = match view.version {
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_11 => b"HTTP/1.1",
        _ => return false,
    };
    line.strip_prefix(view.method.as_str().as_bytes())
        .and_then(|rest| rest.strip_prefix(b" "))
        .and_then(|rest| rest.strip_prefix(view.target))
        .and_then(|rest| rest.strip_prefix(b" "))
        .is_some_and(|rest| rest == version)
}

fn split_header(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(invalid("A header is folded over two lines"));
    }
    let colon = memchr::memchr(b':', line).ok_or(invalid("A header has no colon"))?;
    let (name, value) = line.split_at(colon);
    if !is_token(name) {
        return Err(invalid("A header's name is malformed"));
    }
    Ok((name, &value[1..]))
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&b| TOKEN[usize::from(b)])
}

/// `tchar` of RFC 9110.
const TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        token[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    token
};
