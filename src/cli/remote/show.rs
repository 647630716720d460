use serde_json::Value;

use super::Session;
use crate::cli::exit::{Exit, Failed};
use crate::cli::{complain, print};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// For people
    Table,
    /// For scripts: what the API answered
    Json,
}

/// A column's heading, and the member that it shows.
pub(super) type Column = (&'static str, &'static str);

impl Session {
    pub(super) fn rows(&self, rows: Vec<Value>, columns: &[Column]) -> Result<Exit, Failed> {
        match self.output {
            Output::Json => self.json(&Value::Array(rows)),
            Output::Table => {
                if rows.is_empty() {
                    complain("there are none");
                }
                print(table(&rows, columns).as_bytes())
            }
        }
    }

    /// Every member of one thing.
    pub(super) fn one(&self, value: &Value) -> Result<Exit, Failed> {
        match (self.output, value.as_object()) {
            (Output::Table, Some(members)) => {
                let width = members.keys().map(|name| name.chars().count()).max().unwrap_or(0);
                let line = |(name, value)| format!("{name:width$}  {}\n", cell(value));
                print(members.iter().map(line).collect::<String>().as_bytes())
            }
            _ => self.json(value),
        }
    }

    /// What has no answer: a sentence for people, nothing for scripts.
    pub(super) fn done(&self, sentence: &str) -> Result<Exit, Failed> {
        if self.output == Output::Table {
            complain(sentence);
        }
        Ok(Exit::Ok)
    }

    /// The one answer that shows a key: alone on stdout when `quiet`, so that a script can keep it
    /// without taking it out of anything.
    pub(super) fn key(&self, mut value: Value, quiet: bool) -> Result<Exit, Failed> {
        if quiet {
            let key = value["api_key"].as_str().unwrap_or_default();
            return print(format!("{key}\n").as_bytes());
        }
        if self.output == Output::Json {
            return self.json(&value);
        }
        let key = value.as_object_mut().and_then(|members| members.remove("api_key"));
        self.one(&value)?;
        complain("\nThe key is shown this once:");
        print(format!("{}\n", cell(&key.unwrap_or_default())).as_bytes())
    }

    fn json(&self, value: &Value) -> Result<Exit, Failed> {
        print(format!("{value:#}\n").as_bytes())
    }
}

fn table(rows: &[Value], columns: &[Column]) -> String {
    let header = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let body =
        rows.iter().map(|row| columns.iter().map(|(_, member)| cell(&row[*member])).collect());
    let lines: Vec<Vec<String>> = std::iter::once(header).chain(body).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<_> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// One line of text.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => printable(text),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Control characters, which a terminal would obey, come out as escapes.
fn printable(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_aligned_and_cannot_move_the_cursor() {
        let rows = [json!({"a": "é", "b": ["x", "y"]}), json!({"a": "\u{1b}[2J", "b": null})];
        let text = table(&rows, &[("A", "a"), ("B", "b")]);
        assert_eq!(text, "A          B\né          x, y\n\\u{1b}[2J  -\n");
    }
}
