use std::io::{self, Write};
use std::sync::Arc;

use super::check::{access, host, methods};
use super::probe::{Probe, join};
use super::table::Table;
use crate::config::Config;
use crate::decision::{Refusal, Verdict};
use crate::policy::{CredentialRules, Match, Policy, Route};

/// What `gatepost explain` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explained {
    Allowed,
    Denied,
}

/// More candidates than this are counted instead of printed.
const MAX_CANDIDATES: usize = 20;

/// Tells which route a request matches, why the others lost, what it needs and how it is judged.
///
/// # Errors
/// `out` cannot be written to.
pub fn explain(config: &Config, probe: &Probe, out: &mut dyn Write) -> io::Result<Explained> {
    let verdict = probe.judge(&config.policy);
    let route = match &verdict {
        Ok(admission) => Some(admission.route()),
        Err(refusal) => refusal.route.as_ref(),
    };
    print_request(probe, out)?;
    print_route(route, out)?;
    print_verdict(&verdict, out)?;
    if verdict.as_ref().is_err_and(|refusal| refusal.is_in_shadow()) {
        writeln!(out, "          the route is in shadow: this is noted, and the request passes")?;
    }
    print_losers(&config.policy, probe, route, out)?;
    Ok(if verdict.is_ok() { Explained::Allowed } else { Explained::Denied })
}

fn print_request(probe: &Probe, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "request   {} {} (host {})", probe.method, probe.path, probe.host())?;
    let note = match probe.permissions {
        None => " (--permission gives it one)",
        Some(_) => "",
    };
    writeln!(out, "caller    {}{note}", probe.caller())
}

fn print_route(route: Option<&Arc<Route>>, out: &mut dyn Write) -> io::Result<()> {
    let Some(route) = route else { return writeln!(out, "route     none") };
    let (name, methods, host, path) = (&route.name, methods(route), host(route), &route.path);
    writeln!(out, "route     {name}: {methods} {path} (host {host})")?;
    writeln!(out, "needs     {}", access(&route.access))?;
    writeln!(out, "upstream  {}", route.upstream)
}

fn print_verdict(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    match verdict {
        Ok(_) => writeln!(out, "verdict   allowed"),
        Err(refusal) => {
            let (status, code) = (refusal.denial.status().as_u16(), refusal.denial.code());
            writeln!(out, "verdict   denied: {status} {code}: {}", reason(refusal))
        }
    }
}

fn reason(refusal: &Refusal) -> String {
    let more = match &refusal.allow {
        Some(allow) => format!("; it takes {}", join(allow.iter())),
        None if !refusal.missing.is_empty() => format!("; missing {}", join(&refusal.missing)),
        None => String::new(),
    };
    format!("{}{more}", refusal.detail())
}

/// The routes that come near, each with what they lost by.
fn print_losers(
    policy: &Policy,
    probe: &Probe,
    winner: Option<&Arc<Route>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let others = policy.routes().iter().filter(|r| winner.is_none_or(|w| !Arc::ptr_eq(r, w)));
    let losers: Vec<_> = others.filter_map(|r| Some((r, loss(r, probe, winner)?))).collect();
    if losers.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["near", "methods", "host", "path", "lost because"]);
    for (route, why) in losers.iter().take(MAX_CANDIDATES) {
        let (name, path) = (route.name.to_string(), route.path.to_string());
        table.push([name, methods(route), host(route).to_owned(), path, (*why).to_owned()]);
    }
    write!(out, "\n{table}")?;
    match losers.len().saturating_sub(MAX_CANDIDATES) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more"),
    }
}

/// Why a route did not win, if its path comes near. The matcher itself is asked, with this route
/// alone and on the route's own host.
fn loss(route: &Route, probe: &Probe, winner: Option<&Arc<Route>>) -> Option<&'static str> {
    let alone = Policy::new(vec![route.clone()], CredentialRules::default(), "").ok()?;
    let asked_host = probe.host_name();
    let own_host = route.host.as_ref().map_or(asked_host.as_str(), |host| host.as_str());
    let path = probe.path.split('?').next().unwrap_or_default();
    match alone.find(&probe.method, own_host, path.as_bytes()) {
        Match::None => None,
        Match::Ambiguous => Some("the path differs in case or a trailing slash"),
        _ if own_host != asked_host => Some("it is for another host"),
        Match::MethodNotAllowed(_) => Some("it does not take this method"),
        Match::Route(_) if winner.is_some() => Some("it is less specific"),
        Match::Route(_) => Some("the request is refused before any route"),
    }
}
