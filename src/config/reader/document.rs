use std::borrow::Cow;
use std::collections::BTreeSet;

use toml::de::{DeTable, Error};

use super::lines::Lines;

/// The parser gives up at some mistakes; taking their lines away lets it go on. Mistakes that only
/// show then are rare, and those that show after that are left for the next run.
const ROUNDS: usize = 3;

/// A text, and what of it is TOML.
pub struct Document<'t> {
    pub(super) lines: Lines<'t>,
    /// The text without its broken lines; what is left stands where it stood.
    legible: Cow<'t, str>,
    pub(super) broken: BTreeSet<usize>,
    pub(super) mistakes: Vec<Mistake>,
    list_is_open: bool,
}

pub(super) struct Mistake {
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl<'t> Document<'t> {
    pub fn new(text: &'t str) -> Self {
        let mut document = Self {
            lines: Lines::new(text),
            legible: Cow::Borrowed(text),
            broken: BTreeSet::new(),
            mistakes: Vec::new(),
            list_is_open: false,
        };
        for _ in 0..ROUNDS {
            let (_, errors) = DeTable::parse_recoverable(&document.legible);
            if errors.is_empty() {
                break;
            }
            document.note(&errors);
            document.blank();
        }
        document
    }

    pub fn table(&self) -> DeTable<'_> {
        DeTable::parse_recoverable(&self.legible).0.into_inner()
    }

    fn note(&mut self, errors: &[Error]) {
        for error in errors {
            let offset = error.span().map_or(self.legible.len(), |span| span.start);
            let unclosed = error.message().starts_with("missing comma");
            // One mistake often makes several errors on its line, and a list that nobody closed
            // makes one on each line after it: the first tells most.
            let is_first = self.broken.insert(self.lines.line(offset));
            if is_first && !self.list_is_open {
                let hint = unclosed.then(|| "or is the bracket before it not closed?".to_owned());
                let message = error.message().to_owned();
                self.mistakes.push(Mistake { offset, message, hint });
            }
            self.list_is_open |= unclosed;
        }
    }

    /// Takes the broken lines away, but for headers: the keys below would go to another section.
    fn blank(&mut self) {
        let lines = self.legible.split_inclusive('\n').enumerate().map(|(index, line)| {
            let keep = !self.broken.contains(&(index + 1)) || line.trim_start().starts_with('[');
            let blank = || line.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
            if keep { Cow::Borrowed(line) } else { Cow::Owned::<str>(blank()) }
        });
        let legible: String = lines.collect();
        self.legible = Cow::Owned(legible);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that are broken, and the keys and sections that are left.
    fn read(text: &str) -> (Vec<usize>, String) {
        let document = Document::new(text);
        let told = document.mistakes.iter().map(|mistake| document.lines.line(mistake.offset));
        (told.collect(), document.table().keys().map(|key| key.get_ref().as_ref()).collect())
    }

    #[test]
    fn what_is_right_is_left_as_it_is() {
        assert_eq!(read("a = 1\nb = 2\n"), (vec![], "ab".into()));
    }

    #[test]
    fn lines_after_a_broken_one_are_read() {
        assert_eq!(read("a = 1\nb\nc = 3\n"), (vec![2], "ac".into()));
        assert_eq!(read("a b = 1\nc = x\nd = 3\n"), (vec![1, 2], "d".into()));
        assert_eq!(read("a = 1\na = 2\nb = 3"), (vec![2], "ab".into()));
    }

    #[test]
    fn a_broken_header_still_heads_its_keys() {
        let document = Document::new("[a]\nx = 1\n[b\ny = 2\n");
        assert_eq!(document.mistakes.len(), 1);
        let table = document.table();
        let a = table.get("a").and_then(|a| a.get_ref().as_table()).unwrap();
        assert!(!a.contains_key("y"));
    }

    #[test]
    fn nothing_moves() {
        let document = Document::new("é = \nb = 1\n");
        let (key, _) = document.table().into_iter().next().unwrap();
        assert_eq!(document.lines.place(key.span().start), (2, 1));
    }
}
