use std::sync::Arc;

use crate::config::reader::{Place, Reader};
use crate::policy::Conflict;

/// Tells of routes that cannot stand beside each other, at the later one.
pub struct Conflicts<'r, 'd> {
    pub reader: &'r Reader<'d>,
    /// Of each route, in the order that the policy was given them.
    pub places: Vec<Place>,
    pub names: Vec<Arc<str>>,
}

impl Conflicts<'_, '_> {
    pub fn report(&self, conflict: Conflict) {
        match conflict {
            Conflict::Equal { first, second } => {
                let advice = "make path, host or methods differ";
                let (names, hint) = self.describe(first, second, advice);
                let message = format!("{names} match the same requests");
                self.reader.error(&self.places[second], message, Some(hint));
            }
            Conflict::Shadowed { first, second } => {
                let advice = "remove it or make it more specific";
                let (_, hint) = self.describe(first, second, advice);
                let (taker, name) = (&self.names[first], &self.names[second]);
                let message =
                    format!("route `{name}` can never match: others take all, such as `{taker}`");
                self.reader.warn(&self.places[second], message, Some(hint));
            }
            Conflict::Lookalike { first, second } => {
                let why = "a lenient upstream would mix them up, so such requests are refused";
                let (names, hint) = self.describe(first, second, why);
                let message = format!("{names} differ only in case or a trailing slash");
                self.reader.warn(&self.places[second], message, Some(hint));
            }
        }
    }

    fn describe(&self, first: usize, second: usize, advice: &str) -> (String, String) {
        let names = format!("routes `{}` and `{}`", self.names[first], self.names[second]);
        (names, format!("the other one is {}; {advice}", self.reader.locate(&self.places[first])))
    }
}
