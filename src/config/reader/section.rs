use std::ops::RangeInclusive;

use toml::de::DeTable;

use super::overrides::{Given, Overrides};
use super::{Fault, Place, Reader, Value};
use crate::config::parse::nearest;

/// A table, and which of its keys were taken. When it goes out of scope, the others are reported:
/// there is no check that could be forgotten.
pub struct Section<'d> {
    reader: &'d Reader<'d>,
    /// As it is written in a file: `[proxy]`, `[[routes]]`.
    title: String,
    at: Place,
    table: Option<&'d DeTable<'d>>,
    /// The name of a fixed section, whose values the environment can override.
    fixed: Option<&'static str>,
    taken: Vec<&'static str>,
}

impl<'d> Section<'d> {
    /// The whole document.
    pub fn root(reader: &'d Reader<'d>, table: &'d DeTable<'d>) -> Self {
        Self::new(reader, String::new(), Place::File, Some(table))
    }

    pub(super) fn new(
        reader: &'d Reader<'d>,
        title: String,
        at: Place,
        table: Option<&'d DeTable<'d>>,
    ) -> Self {
        Self { reader, title, at, table, fixed: None, taken: Vec::new() }
    }

    pub fn reader(&self) -> &'d Reader<'d> {
        self.reader
    }

    pub fn at(&self) -> &Place {
        &self.at
    }

    /// A value, from the environment if it has one, else from the file.
    pub fn take(&mut self, key: &'static str) -> Option<Value<'d>> {
        let given = self.given(key);
        self.choose(key, given)
    }

    /// The same for a key that also goes by a name of its own in the environment, which comes
    /// after `GATEPOST_…` and before the file.
    pub fn take_or_variable(&mut self, key: &'static str, variable: &str) -> Option<Value<'d>> {
        // Both are asked in any case, so that both are known.
        let (given, alias) = (self.given(key), self.reader.overrides.find(variable));
        self.choose(key, given.or(alias))
    }

    fn given(&self, key: &str) -> Option<Given> {
        self.reader.overrides.find(&Overrides::name(self.fixed?, key))
    }

    fn choose(&mut self, key: &'static str, given: Option<Given>) -> Option<Value<'d>> {
        self.taken.push(key);
        if let Some(given) = given {
            return Some(Value::given(self.reader, key, given));
        }
        let node = self.table?.get(key)?;
        Some(Value::written(self.reader, key, node))
    }

    /// A value that has to be there.
    pub fn require(&mut self, key: &'static str, example: &str) -> Option<Value<'d>> {
        let value = self.take(key);
        if value.is_none() {
            self.missing(key, example);
        }
        value
    }

    pub fn missing(&self, key: &str, example: &str) {
        let message = format!("`{key}` is missing in {}", self.title);
        self.reader.absent(&self.at, message, Some(format!("for example {key} = {example}")));
    }

    pub fn read<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        self.take(key)?.parse(parse)
    }

    /// The items of a list that are right.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<Vec<T>> {
        self.take(key)?.list(parse)
    }

    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.take(key)?.flag()
    }

    pub fn count(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.take(key)?.count(range)
    }

    /// A table inside this one.
    pub fn table(&mut self, key: &'static str) -> Option<Section<'d>> {
        self.take(key)?.table()
    }

    /// One of the fixed sections. It is there even when the file does not have it: the environment
    /// may.
    pub fn section(&mut self, name: &'static str) -> Section<'d> {
        let written = self.titled(name);
        let mut section = written
            .unwrap_or_else(|| Self::new(self.reader, format!("[{name}]"), Place::File, None));
        section.fixed = Some(name);
        section
    }

    /// A section that Gatepost will have: its keys can be read, and it is refused.
    pub fn not_yet_section(&mut self, name: &'static str) -> Option<Section<'d>> {
        let section = self.titled(name)?;
        section.reader.not_yet(&section.at, &section.title);
        Some(section)
    }

    fn titled(&mut self, name: &'static str) -> Option<Section<'d>> {
        let mut section = self.table(name)?;
        section.title = format!("[{name}]");
        Some(section)
    }

    /// The entries of an array of tables, `[[name]]`.
    pub fn entries(&mut self, name: &'static str) -> Vec<Section<'d>> {
        let Some(value) = self.take(name) else { return Vec::new() };
        value.tables().unwrap_or_default()
    }

    /// The tables `[name.…]` with their names, in the order of the file.
    pub fn named(&mut self, name: &'static str) -> Vec<(Value<'d>, Section<'d>)> {
        let Some(section) = self.table(name) else { return Vec::new() };
        section.into_named(name)
    }

    fn into_named(mut self, name: &'static str) -> Vec<(Value<'d>, Section<'d>)> {
        // All of its keys are taken, whatever they are called.
        let Some(table) = self.table.take() else { return Vec::new() };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let entry = |(key, node)| {
            let mut section = Value::written(self.reader, name, node).table()?;
            let value = Value::name(self.reader, name, key);
            section.title = format!("[{name}.{}]", value.shown());
            Some((value, section))
        };
        entries.into_iter().filter_map(entry).collect()
    }

    /// A key that Gatepost will have: it is read, and then refused. Delete the marker when it is
    /// built.
    pub fn not_yet<T>(&mut self, key: &'static str, read: impl FnOnce(Value<'d>) -> Option<T>) {
        let Some(value) = self.take(key) else { return };
        let at = value.at().clone();
        if read(value).is_some() {
            self.reader.not_yet(&at, &format!("`{key}`"));
        }
    }
}

impl Reader<'_> {
    /// Refuses what would otherwise be silently ignored.
    pub fn not_yet(&self, at: &Place, what: &str) {
        let hint = "remove it for now; Gatepost refuses what it would otherwise ignore";
        self.error(at, format!("{what} is not available yet"), Some(hint.into()));
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let Some(table) = self.table else { return };
        for (key, _) in
            table.iter().filter(|(key, _)| !self.taken.contains(&key.get_ref().as_ref()))
        {
            let shown = Value::name(self.reader, "key", key).shown();
            let message = match self.title.as_str() {
                "" => format!("unknown section `{shown}`"),
                title => format!("unknown key `{shown}` in {title}"),
            };
            let hint = nearest(key.get_ref(), self.taken.iter().copied())
                .unwrap_or_else(|| format!("it takes {}", self.taken.join(", ")));
            self.reader.error(&Place::At(key.span().start), message, Some(hint));
        }
    }
}
