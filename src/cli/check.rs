use std::io::{self, Write};
use std::path::Path;

use super::probe::{Probe, join};
use super::table::Table;
use crate::config::{Config, Environment, PolicyTest};
use crate::decision::Outcome;
use crate::policy::{Access, Requirement, Route, RouteOptions};

/// What `gatepost check` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    Valid,
    /// The file has errors, or one of its tests failed.
    Invalid,
}

/// Prints every problem of a configuration, the results of its tests and its routes in match
/// order.
///
/// # Errors
/// `out` cannot be written to.
pub fn check(path: &Path, environment: &Environment, out: &mut dyn Write) -> io::Result<Checked> {
    let config = match Config::load(path, environment) {
        Ok(config) => config,
        Err(error) => {
            writeln!(out, "{error}")?;
            return Ok(Checked::Invalid);
        }
    };
    for warning in &config.warnings {
        writeln!(out, "{warning}")?;
    }
    let failed = run_tests(path, &config, out)?;
    print_routes(&config, out)?;
    writeln!(out, "\nChanges of listeners and store need a restart; all else is reloaded.")?;
    Ok(if failed == 0 { Checked::Valid } else { Checked::Invalid })
}

/// Prints the failures and the sum; the number of failures.
fn run_tests(path: &Path, config: &Config, out: &mut dyn Write) -> io::Result<usize> {
    let mut failed = 0;
    for test in &config.tests {
        let expected = test.expect.map_or(Outcome::Allow, Outcome::Deny).code();
        let probe = Probe::from(test);
        let got = match probe.judge(&config.policy) {
            Ok(_) => Outcome::Allow.code(),
            Err(refusal) => refusal.denial.code(),
        };
        if got != expected {
            failed += 1;
            let (line, column) = test.place;
            let (method, target, caller) = (&probe.method, &probe.path, probe.caller());
            writeln!(
                out,
                "{}:{line}:{column}: error: {method} {target} {caller}: expected {expected}, got {got}\n  \
                 hint: `gatepost explain` tells why",
                path.display(),
            )?;
        }
    }
    writeln!(out, "Tests: {} passed, {failed} failed.\n", config.tests.len() - failed)?;
    Ok(failed)
}

impl From<&PolicyTest> for Probe {
    fn from(test: &PolicyTest) -> Self {
        Self {
            method: test.method.clone(),
            path: test.path.clone(),
            host: test.host.clone(),
            permissions: test.permissions.clone(),
            environment: test.environment.clone(),
        }
    }
}

fn print_routes(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Routes in match order:\n")?;
    let header = ["#", "name", "methods", "host", "path", "access", "upstream", "options"];
    let mut table = Table::new(header);
    for (index, route) in config.policy.routes().iter().enumerate() {
        table.push([
            (index + 1).to_string(),
            route.name.to_string(),
            methods(route),
            host(route).to_owned(),
            route.path.to_string(),
            access(&route.access),
            route.upstream.to_string(),
            options(&route.options),
        ]);
    }
    write!(out, "{table}")
}

pub(super) fn methods(route: &Route) -> String {
    route.methods.as_ref().map_or_else(|| "any".into(), |methods| join(methods.iter()))
}

pub(super) fn host(route: &Route) -> &str {
    route.host.as_ref().map_or("any", |host| host.as_str())
}

/// Who may call.
pub(super) fn access(access: &Access) -> String {
    match access {
        Access::Public => "public".into(),
        Access::Require(Requirement::All(all)) if all.is_empty() => "any valid key".into(),
        Access::Require(Requirement::All(all)) => join(all),
        Access::Require(Requirement::Any(any)) => format!("any of {}", join(any)),
    }
}

/// What is special about a route.
fn options(options: &RouteOptions) -> String {
    let mut special = Vec::new();
    if options.websocket {
        special.push("websocket".to_owned());
    }
    if !options.environments.is_empty() {
        let names = options.environments.iter().map(|environment| environment.as_str());
        special.push(format!("environments {}", join(names)));
    }
    if let Some(bytes) = options.max_body {
        special.push(format!("max_body {bytes} B"));
    }
    let timeouts = [options.timeouts.connect, options.timeouts.read, options.timeouts.write];
    if timeouts.iter().any(Option::is_some) {
        special.push("timeouts".to_owned());
    }
    let named = [
        (options.forward_key, "forward_key"),
        (options.exceptions.encoded_slash, "allow_encoded_slash"),
        (options.exceptions.semicolon, "allow_semicolon"),
        (options.cors.is_some(), "cors"),
        (options.grpc, "grpc"),
        (options.shadow, "SHADOW"),
    ];
    special.extend(named.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()));
    join(special)
}
