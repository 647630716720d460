use std::borrow::Cow;

use super::Fault;
use crate::config::Environment;

/// Replaces `${NAME}` and `${NAME:-default}`; `$${` stands for `${`. As in a shell, `:-` also
/// helps against a variable that is set but empty.
pub(super) fn interpolate<'t>(
    text: &'t str,
    environment: &Environment,
) -> Result<Cow<'t, str>, Vec<Fault>> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut whole = String::new();
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            whole.extend([before, "${"]);
            rest = &from[2..];
            continue;
        }
        whole.push_str(before);
        let Some(end) = from.find('}') else {
            faults.push(
                Fault::new("has a `${` without its `}`").hint("for a literal `${`, write `$${`"),
            );
            rest = "";
            break;
        };
        match expand(&from[2..end], environment) {
            Ok(value) => whole.push_str(value),
            Err(fault) => faults.push(fault),
        }
        rest = &from[end + 1..];
    }
    whole.push_str(rest);
    if faults.is_empty() { Ok(Cow::Owned(whole)) } else { Err(faults) }
}

/// What stands between the braces: `NAME` or `NAME:-default`.
fn expand<'t>(inside: &'t str, environment: &'t Environment) -> Result<&'t str, Fault> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(Fault::new("has a `${…}` that names no environment variable")
            .hint("write `${NAME}` or `${NAME:-default}`; for a literal `${`, write `$${`"));
    }
    match (environment.get(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default),
        (None, None) => Err(Fault::new(format!("needs the environment variable {name}"))
            .hint(format!("set {name}, or give a default: `${{{name}:-default}}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Result<String, Vec<String>> {
        let environment =
            Environment::from([("A".into(), "one".into()), ("EMPTY".into(), String::new())]);
        interpolate(text, &environment)
            .map(Cow::into_owned)
            .map_err(|faults| faults.into_iter().map(|fault| fault.reason).collect())
    }

    #[test]
    fn variables_are_replaced() {
        assert_eq!(text("x${A}y${A}"), Ok("xoneyone".into()));
        assert_eq!(text("${EMPTY}"), Ok(String::new()));
    }

    #[test]
    fn a_default_stands_in_for_unset_and_empty() {
        assert_eq!(text("${B:-two}"), Ok("two".into()));
        assert_eq!(text("${EMPTY:-two}"), Ok("two".into()));
        assert_eq!(text("${A:-two}"), Ok("one".into()));
        assert_eq!(text("${B:-}"), Ok(String::new()));
    }

    #[test]
    fn a_doubled_dollar_is_literal() {
        assert_eq!(text("$${A} $5 $"), Ok("${A} $5 $".into()));
    }

    #[test]
    fn every_fault_is_told() {
        assert_eq!(text("${B} ${C}").unwrap_err().len(), 2);
        assert!(text("${A").unwrap_err()[0].contains("without its `}`"));
        assert!(text("${}").unwrap_err()[0].contains("names no environment variable"));
        assert!(text("${A-x}").unwrap_err()[0].contains("names no environment variable"));
    }
}
