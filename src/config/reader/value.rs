use std::borrow::Cow;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::interpolate::interpolate;
use super::overrides::Given;
use super::{Fault, Place, Reader, Section};

/// One value, and where it comes from. Each accessor answers `None` after it reported why.
pub struct Value<'d> {
    reader: &'d Reader<'d>,
    key: &'static str,
    at: Place,
    node: Node<'d>,
    /// It may be used, but not quoted.
    secret: bool,
}

enum Node<'d> {
    Written(&'d DeValue<'d>),
    /// The name of a `[section.name]`.
    Name(&'d str),
    /// From an environment variable.
    Given(String),
    /// It could not be had, and that was reported.
    Unreadable,
}

/// A file quoted back is no help beyond this.
const SHOWN: usize = 60;

impl<'d> Value<'d> {
    pub(super) fn written(
        reader: &'d Reader<'d>,
        key: &'static str,
        node: &'d Spanned<DeValue<'d>>,
    ) -> Self {
        let at = Place::At(node.span().start);
        Self { reader, key, at, node: Node::Written(node.get_ref()), secret: false }
    }

    pub(super) fn name(
        reader: &'d Reader<'d>,
        key: &'static str,
        name: &'d Spanned<DeString<'d>>,
    ) -> Self {
        let at = Place::At(name.span().start);
        Self { reader, key, at, node: Node::Name(name.get_ref()), secret: false }
    }

    pub(super) fn given(reader: &'d Reader<'d>, key: &'static str, given: Given) -> Self {
        let at = Place::Variable(given.variable);
        let node = match given.text {
            Ok(text) => Node::Given(text),
            Err(reason) => {
                reader.error(&at, reason, None);
                Node::Unreadable
            }
        };
        Self { reader, key, at, node, secret: given.secret }
    }

    /// The same value, kept out of every message.
    pub fn hidden(self) -> Self {
        Self { secret: true, ..self }
    }

    pub fn at(&self) -> &Place {
        &self.at
    }

    pub fn reader(&self) -> &'d Reader<'d> {
        self.reader
    }

    pub fn error(&self, fault: Fault) {
        let message = format!("`{}` {}", self.shown(), fault.reason);
        self.reader.error(&self.at, message, fault.hint);
    }

    /// How the value is quoted in a message: as it is written, so that what `${…}` brings in stays
    /// out of it.
    pub fn shown(&self) -> String {
        let text = match &self.node {
            _ if self.secret => self.key,
            Node::Written(DeValue::String(text)) => text.as_ref(),
            Node::Name(text) => text,
            Node::Given(text) => text,
            Node::Written(_) | Node::Unreadable => self.key,
        };
        let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
        if text.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        shown
    }

    /// A text of some type.
    pub fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, Fault>) -> Option<T> {
        let text = self.text()?;
        parse(&text).map_err(|fault| self.error(fault)).ok()
    }

    /// The text as it stands in the file, if it does.
    pub fn literal(&self) -> Option<&'d str> {
        match self.node {
            Node::Written(DeValue::String(text)) => Some(text),
            _ => None,
        }
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        let text = match &self.node {
            Node::Written(DeValue::String(text)) => text,
            Node::Written(other) => return self.wrong_type("a string", other),
            Node::Name(name) => return Some(Cow::Borrowed(name)),
            Node::Given(text) => return Some(Cow::Borrowed(text)),
            Node::Unreadable => return None,
        };
        let environment = self.reader.overrides.environment();
        let report = |faults: Vec<Fault>| faults.into_iter().for_each(|fault| self.error(fault));
        interpolate(text, environment).map_err(report).ok()
    }

    pub fn flag(&self) -> Option<bool> {
        match self.node {
            Node::Written(DeValue::Boolean(on)) => Some(*on),
            Node::Written(other) if !self.is_template() => self.wrong_type("true or false", other),
            _ => {
                self.parse(|text| text.parse().map_err(|_| Fault::new("is neither true nor false")))
            }
        }
    }

    pub fn count(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match self.node {
            Node::Written(DeValue::Integer(number)) => {
                u64::from_str_radix(number.as_str(), number.radix()).ok()
            }
            Node::Written(other) if !self.is_template() => self.wrong_type("a number", other)?,
            _ => Some(self.parse(|text| text.parse().map_err(|_| Fault::new("is not a number")))?),
        };
        let fitting = number.filter(|number| range.contains(number));
        if fitting.is_none() {
            let (least, most) = range.into_inner();
            let message = format!("`{}` must be between {least} and {most}", self.key);
            self.reader.error(&self.at, message, None);
        }
        fitting
    }

    /// A string with `${…}`, the one way to write a number or a flag that a variable gives.
    fn is_template(&self) -> bool {
        self.literal().is_some_and(|text| text.contains("${"))
    }

    pub fn list<T>(&self, parse: impl Fn(&str) -> Result<T, Fault>) -> Option<Vec<T>> {
        Some(self.items()?.iter().filter_map(|item| item.parse(&parse)).collect())
    }

    /// The items of a list; in a variable they stand between commas.
    pub fn items(&self) -> Option<Vec<Value<'d>>> {
        let given =
            |text: &str| Value { at: self.at.clone(), node: Node::Given(text.into()), ..*self };
        match &self.node {
            Node::Written(DeValue::Array(items)) => {
                Some(items.iter().map(|node| Value::written(self.reader, self.key, node)).collect())
            }
            Node::Written(other) => self.wrong_type("a list", other),
            Node::Given(text) => Some(split(text).map(given).collect()),
            Node::Name(_) | Node::Unreadable => None,
        }
    }

    pub fn is_table(&self) -> bool {
        matches!(self.node, Node::Written(DeValue::Table(_)))
    }

    pub fn table(&self) -> Option<Section<'d>> {
        match self.node {
            Node::Written(DeValue::Table(table)) => {
                Some(self.section(format!("`{}`", self.key), table))
            }
            Node::Written(other) => self.wrong_type("a table", other),
            _ => None,
        }
    }

    /// The entries of an array of tables.
    pub(super) fn tables(&self) -> Option<Vec<Section<'d>>> {
        if let Node::Written(DeValue::Table(_)) = self.node {
            let message = format!("`{}` is a list of tables", self.key);
            let hint = format!("write [[{}]] with two brackets", self.key);
            self.reader.error(&self.at, message, Some(hint));
            return None;
        }
        let title = format!("[[{}]]", self.key);
        let entry = |item: &Value<'d>| match item.node {
            Node::Written(DeValue::Table(table)) => Some(item.section(title.clone(), table)),
            _ => item.table(),
        };
        Some(self.items()?.iter().filter_map(entry).collect())
    }

    fn section(&self, title: String, table: &'d DeTable<'d>) -> Section<'d> {
        Section::new(self.reader, title, self.at.clone(), Some(table))
    }

    fn wrong_type<T>(&self, wanted: &str, node: &DeValue<'_>) -> Option<T> {
        let found = match node {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let hint = match (wanted, node) {
            ("a list", DeValue::String(_)) => {
                Some(format!("put it in brackets: {} = [\"…\"]", self.key))
            }
            ("true or false" | "a number", DeValue::String(_)) => Some("remove the quotes".into()),
            ("a string", DeValue::Integer(_) | DeValue::Boolean(_)) => {
                Some("put it in quotes".into())
            }
            _ => None,
        };
        let message = format!("`{}` must be {wanted}, not {found}", self.key);
        self.reader.error(&self.at, message, hint);
        None
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}
