//! Tables for people, on stdout.

use std::io::Write;

use crate::Error;

/// # Errors
/// Stdout is closed.
pub fn line(text: &str) -> Result<(), Error> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Median, least and greatest.
pub struct Spread {
    median: f64,
    least: f64,
    greatest: f64,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&least, &greatest) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Some(Self { median, least, greatest })
    }

    pub fn show(&self, decimals: usize) -> String {
        let Self { median, least, greatest } = self;
        format!("{median:.decimals$} ({least:.decimals$}–{greatest:.decimals$})")
    }
}
