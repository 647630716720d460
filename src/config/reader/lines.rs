/// Where the lines of a text begin.
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub fn new(text: &'t str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_newlines).collect() }
    }

    /// The one-based line that a byte is on.
    pub fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset)
    }

    /// The one-based line and column of a byte; columns count characters.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.starts[line - 1];
        let end = self.text.floor_char_boundary(offset.min(self.text.len()));
        (line, self.text[start..end].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_newlines() {
        let lines = Lines::new("aé b\r\n\nc");
        let place = |needle: &str| lines.place(lines.text.find(needle).unwrap());
        assert_eq!(place("a"), (1, 1));
        assert_eq!(place("b"), (1, 4));
        assert_eq!(place("c"), (3, 1));
    }

    #[test]
    fn the_end_and_beyond_have_a_place() {
        assert_eq!(Lines::new("").place(0), (1, 1));
        assert_eq!(Lines::new("ab").place(9), (1, 3));
        assert_eq!(Lines::new("é").place(1), (1, 1));
    }
}
