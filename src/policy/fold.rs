use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use super::target::hex_digit;

/// A path as the most lenient upstream would read it: percent-decoded, in one case, in Unicode's
/// compatibility form. Paths that an upstream might take for each other have the same fold.
///
/// What is plain lower case, as most paths are, is its own fold.
pub fn fold(path: &[u8]) -> Cow<'_, [u8]> {
    let (upper, escapes) = path
        .iter()
        .fold((false, false), |(u, e), b| (u | b.is_ascii_uppercase(), e | (*b == b'%')));
    match (upper, escapes) {
        (false, false) => Cow::Borrowed(path),
        (true, false) => Cow::Owned(path.to_ascii_lowercase()),
        (_, true) => Cow::Owned(fold_unicode(decode(path))),
    }
}

fn decode(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = match *rest {
            // A slash of that kind ends no segment: it passes only where the upstream says so.
            [b'%', b'2', b'f' | b'F', ..] => None,
            [b'%', high, low, ..] => hex_digit(high).zip(hex_digit(low)),
            _ => None,
        };
        let (byte, tail) = match escaped {
            Some((high, low)) => (high << 4 | low, &rest[3..]),
            None => (byte, tail),
        };
        decoded.push(byte);
        rest = tail;
    }
    decoded
}

/// Down, up and down again: some characters meet only in their upper case (`ß`, `ẞ`, `ss`).
fn fold_unicode(decoded: Vec<u8>) -> Vec<u8> {
    match String::from_utf8(decoded) {
        Ok(text) => {
            let text: String = text.nfkc().collect();
            text.to_lowercase().to_uppercase().to_lowercase().into_bytes()
        }
        Err(not_text) => not_text.into_bytes().to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lenient_reader_takes_for_the_same_has_one_fold() {
        for (one, other) in [
            ("/Orders", "/orders"),
            ("/a%40b", "/a@b"),
            ("/caf%C3%A9", "/CAF%c3%89"),
            ("/stra%C3%9Fe", "/strasse"),
            ("/stra%E1%BA%9Ee", "/strasse"),
            ("/%E2%84%AAey", "/key"),
            ("/%EF%BD%81dmin", "/admin"),
        ] {
            assert_eq!(fold(one.as_bytes()), fold(other.as_bytes()), "{one} {other}");
        }
        assert_ne!(fold(b"/a"), fold(b"/b"));
        assert!(matches!(fold(b"/api/v1/orders"), Cow::Borrowed(_)));
    }

    #[test]
    fn anything_has_a_fold() {
        assert_eq!(&*fold(b"/%"), b"/%");
        assert_eq!(&*fold(b"/%zz%4"), b"/%zz%4");
        assert_eq!(&*fold(b"/%FFA"), b"/\xffa");
        assert_eq!(&*fold(b"/A%2Fb%40"), b"/a%2fb@");
    }
}
