//! The framing of a chunked body, read as strictly as RFC 9112 writes it.
//!
//! The framework takes spaces after a chunk's size, a line feed inside an extension, or any text
//! for a trailer. Another parser before us may see an end there, and the body's rest as a request.

/// No body has a chunk whose size needs more digits.
const MAX_DIGITS: u32 = 15;

/// Extensions and trailers mean nothing here; nobody needs many of them.
const MAX_LINE: u32 = 8 * 1024;
const MAX_TRAILER: u32 = 32 * 1024;

/// The bytes are not those of a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Follows a chunked body through the pieces that it is read in.
#[derive(Debug)]
pub struct Chunks {
    next: Next,
    /// Bytes of the line, or of the whole trailer.
    length: u32,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Size {
        value: u64,
        digits: u32,
    },
    Extension {
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineEnd,
    LastEnd,
    /// What follows is another request's.
    Nothing,
}

/// At its first byte.
impl Default for Chunks {
    fn default() -> Self {
        Self { next: Next::START, length: 0 }
    }
}

impl Chunks {
    /// # Errors
    /// Two parsers could disagree on what `bytes` are.
    pub fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        while let [byte, rest @ ..] = bytes {
            match self.next {
                Next::Nothing => return Ok(()),
                Next::Data { left } => {
                    let here = left.min(bytes.len() as u64);
                    // No more than there are bytes, so that it is a length.
                    bytes = &bytes[here as usize..];
                    self.next = match left - here {
                        0 => Next::DataCr,
                        left => Next::Data { left },
                    };
                }
                next => {
                    self.next = self.step(next, *byte)?;
                    bytes = rest;
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, next: Next, byte: u8) -> Result<Next, Broken> {
        self.length += 1;
        let most = if matches!(next, Next::Size { .. } | Next::Extension { .. }) {
            MAX_LINE
        } else {
            MAX_TRAILER
        };
        if self.length > most {
            return Err(Broken);
        }
        Ok(match (next, byte) {
            (Next::Size { value, digits }, byte) => return self.size(value, digits, byte),
            (Next::Extension { size }, b'\r') => Next::SizeEnd { size },
            (Next::Extension { .. }, byte) if is_text(byte) => next,
            (Next::SizeEnd { size }, b'\n') => {
                self.length = 0;
                if size == 0 { Next::TrailerStart } else { Next::Data { left: size } }
            }
            (Next::DataCr, b'\r') => Next::DataLf,
            (Next::DataLf, b'\n') => {
                self.length = 0;
                Next::START
            }
            (Next::TrailerStart, b'\r') => Next::LastEnd,
            (Next::TrailerStart, byte) if is_name(byte) => Next::TrailerName,
            (Next::TrailerName, b':') => Next::TrailerValue,
            (Next::TrailerName, byte) if is_name(byte) => next,
            (Next::TrailerValue, b'\r') => Next::TrailerLineEnd,
            (Next::TrailerValue, byte) if is_text(byte) => next,
            (Next::TrailerLineEnd, b'\n') => Next::TrailerStart,
            (Next::LastEnd, b'\n') => Next::Nothing,
            _ => return Err(Broken),
        })
    }

    fn size(&self, value: u64, digits: u32, byte: u8) -> Result<Next, Broken> {
        match (char::from(byte).to_digit(16), byte) {
            (Some(digit), _) if digits < MAX_DIGITS => {
                Ok(Next::Size { value: value << 4 | u64::from(digit), digits: digits + 1 })
            }
            (None, b'\r') if digits > 0 => Ok(Next::SizeEnd { size: value }),
            (None, b';') if digits > 0 => Ok(Next::Extension { size: value }),
            _ => Err(Broken),
        }
    }
}

impl Next {
    const START: Self = Next::Size { value: 0, digits: 0 };
}

/// What may stand in a line: no control character but the tab.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The letters of header names, as far as trailers need them: none that could end one.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b':' | b'"' | b'(' | b')' | b',' | b'/' | b';')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// In one piece, and byte by byte.
    fn follow(body: &[u8]) -> Result<(), Broken> {
        let whole = Chunks::default().follow(body);
        let mut bits = Chunks::default();
        let piecewise = body.iter().try_for_each(|byte| bits.follow(&[*byte]));
        assert_eq!(whole, piecewise, "{}", body.escape_ascii());
        whole
    }

    #[test]
    fn what_the_standard_has_passes() {
        for body in [
            &b"0\r\n\r\n"[..],
            b"2\r\nok\r\n0\r\n\r\n",
            b"00A\r\n0123456789\r\n000\r\n\r\n",
            b"2;name=value;other=\"quoted\"\r\nok\r\n0;x\r\n\r\n",
            b"2\r\n\r\n\r\n0\r\nX-Trailer: value\r\nY:\r\n\r\n",
            b"0\r\n\r\nGET /next HTTP/1.1\n",
        ] {
            assert_eq!(follow(body), Ok(()), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn what_parsers_disagree_on_is_broken() {
        for body in [
            &b"2\nok\r\n0\r\n\r\n"[..],
            b"2 \r\nok",
            b"2\t\r\nok",
            b" 2\r\nok",
            b"+2\r\nok",
            b"0x2\r\nok",
            b"2;a\nb\r\nok",
            b"2;a\rb\r\nok",
            b"2;a\0b\r\nok",
            b"\r\n2\r\nok",
            b";x\r\nok",
            b"1000000000000000\r\n",
            b"2\r\nokx",
            b"2\r\nok\n0",
            b"0\r\n\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\n folded: x\r\n\r\n",
            b"0\r\nX: y\n\r\n",
            b"0\r\nX : y\r\n\r\n",
        ] {
            assert_eq!(follow(body), Err(Broken), "{}", body.escape_ascii());
        }
        assert_eq!(follow(&[&b"2;"[..], &[b'a'; 9_000]].concat()), Err(Broken));
        assert_eq!(follow(&[&b"0\r\n"[..], &b"X: y\r\n".repeat(10_000)].concat()), Err(Broken));
    }

    proptest! {
        #[test]
        fn any_data_in_any_chunks_passes(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8)) {
            let mut body = Vec::new();
            for part in &parts {
                body.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                body.extend_from_slice(part);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(follow(&body), Ok(()));
        }

        #[test]
        fn random_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = follow(&body);
        }
    }
}
