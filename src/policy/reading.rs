//! What else a path with exceptions could be read as.

/// The paths that readers make of `path` who cut parameters off, or all from the first of them on,
/// and to whom an encoded slash is a slash; in either order.
pub fn readings(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    type Reader = fn(&[u8]) -> Vec<u8>;
    const READERS: [Reader; 3] = [strip_parameters, cut_at_parameters, decode_slashes];
    let path = path.to_vec();
    READERS.into_iter().flat_map(move |first| {
        let once = first(&path);
        let mut read: Vec<Vec<u8>> = READERS.iter().map(|second| second(&once)).collect();
        read.push(once);
        read
    })
}

fn strip_parameters(path: &[u8]) -> Vec<u8> {
    path.split(|&b| b == b'/').map(before_semicolon).collect::<Vec<_>>().join(&b'/')
}

fn cut_at_parameters(path: &[u8]) -> Vec<u8> {
    before_semicolon(path).to_vec()
}

fn before_semicolon(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(b';', text).unwrap_or(text.len())]
}

fn decode_slashes(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        (rest, _) = match rest {
            [b'%', b'2', b'f' | b'F', tail @ ..] => (tail, decoded.push(b'/')),
            _ => (tail, decoded.push(*byte)),
        };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_cut_and_decode_in_either_order() {
        let mut found: Vec<String> = readings(b"/a%2Fb;x%2fy/c")
            .map(|path| String::from_utf8(path).expect("ASCII"))
            .collect();
        found.sort();
        found.dedup();
        let expected = ["/a%2Fb", "/a%2Fb/c", "/a/b", "/a/b/c", "/a/b/y/c", "/a/b;x/y/c"];
        assert_eq!(found, expected);
    }
}
