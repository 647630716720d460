use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::CONTENT_LENGTH;
use jiff::Timestamp;

use super::shape::{self, Shape};
use super::standing::Standing;
use super::strip::Strip;
use super::{Credential, Denial, Refusal, cors, credential};
use crate::key::{KeyRecord, Permission};
use crate::policy::{Access, CredentialRules, Exceptions, Match, Policy, Requirement, Route};
use crate::request::RequestView;

/// When the store is away: long enough for a restart, short enough to be worth a retry.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The permission to forward one request. Its fields are private and it is made only here:
/// without one there is no upstream.
#[derive(Clone, Debug)]
pub struct Admission {
    route: Arc<Route>,
    key: Option<Arc<KeyRecord>>,
    matched: Matched,
    read_from_authorization: bool,
    standing: Option<Standing>,
    /// What a browser asked is answered here, and nothing is forwarded.
    preflight: Option<cors::Headers>,
    /// Why it would have been refused, were its route not in shadow.
    waived: Option<Box<Refusal>>,
}

/// Most keys have all that is required; then nothing is copied.
#[derive(Clone, Debug)]
enum Matched {
    AllRequired,
    These(Vec<Permission>),
}

impl Admission {
    /// Nobody is known, and nothing was asked for.
    fn anonymous(route: &Arc<Route>) -> Self {
        Self {
            route: Arc::clone(route),
            key: None,
            matched: Matched::AllRequired,
            read_from_authorization: false,
            standing: None,
            preflight: None,
            waived: None,
        }
    }

    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Who is calling; `None` on a public route, and where nobody can be vouched for.
    pub fn key(&self) -> Option<&Arc<KeyRecord>> {
        self.key.as_ref()
    }

    /// The required permissions that the key matched.
    pub fn matched(&self) -> &[Permission] {
        match (&self.matched, &self.route.access) {
            (Matched::These(permissions), _) => permissions,
            (Matched::AllRequired, Access::Require(requirement)) => requirement.permissions(),
            (Matched::AllRequired, Access::Public) => &[],
        }
    }

    /// Where the caller stands with the tightest limit; `None` where none applies.
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// The headers that answer a browser's question. Such a request is never forwarded.
    pub fn preflight(&self) -> Option<&cors::Headers> {
        self.preflight.as_ref()
    }

    /// The refusal that a route in shadow only notes.
    pub fn waived(&self) -> Option<&Refusal> {
        self.waived.as_deref()
    }

    /// Step 8, passed.
    pub fn within(self, standing: Option<Standing>) -> Self {
        Self { standing, ..self }
    }

    /// Step 8, refused: there is no admission any more.
    pub fn exceed(self, denial: Denial, wait: Duration, standing: Standing) -> Refusal {
        Refusal {
            route: Some(self.route),
            key: self.key,
            retry_after: Some(wait),
            standing: Some(Box::new(standing)),
            ..Refusal::new(denial)
        }
    }

    /// What to take out of the request before it is forwarded; `rules` are those of the policy
    /// that admitted it.
    pub fn strip<'p>(&self, rules: &'p CredentialRules) -> Strip<'p> {
        match self.route.options.forward_key {
            true => Strip::nothing(),
            false => Strip::of(rules, self.read_from_authorization),
        }
    }
}

pub type Verdict = Result<Admission, Refusal>;

/// What [`open`] comes to.
#[derive(Debug)]
pub enum Opening {
    Deny(Refusal),
    /// A public route.
    Allow(Admission),
    /// A key has to be found first.
    Ask(Question),
}

/// Everything is in order but the key: find it, then [`close`](Question::close).
#[derive(Debug)]
pub struct Question {
    route: Arc<Route>,
    credential: Credential,
    read_from_authorization: bool,
}

/// What was found under a credential.
#[derive(Clone, Debug)]
pub enum Answer {
    Unknown,
    /// The store could not be asked and the key is not cached.
    Unavailable,
    Known(Arc<KeyRecord>),
}

/// Steps 1 to 4: shape, route, public, credential.
pub fn open(view: &RequestView<'_>, policy: &Policy) -> Opening {
    let shape = match shape::check(view) {
        Ok(shape) => shape,
        Err(fault) => return Opening::Deny(fault.into()),
    };
    if let Some(admission) = admit_preflight(view, &shape, policy) {
        return Opening::Allow(admission);
    }
    let route = match find_route(view, view.method, &shape, policy) {
        Ok(route) => route,
        Err(refusal) => return Opening::Deny(refusal),
    };
    if let Access::Public = route.access {
        return match admit_public(view, route) {
            Ok(admission) => Opening::Allow(admission),
            Err(refusal) => Opening::Deny(refusal),
        };
    }
    match credential::read(view, &policy.credentials) {
        Ok((credential, source)) => Opening::Ask(Question {
            route: Arc::clone(route),
            credential,
            read_from_authorization: source.is_authorization(),
        }),
        Err(denial) => Opening::Deny(refuse(route, denial)),
    }
}

/// The same judgement for a caller whose key another door has already admitted: shape, route,
/// state and permissions of this policy, without reading a credential.
pub fn admit_known(
    view: &RequestView<'_>,
    policy: &Policy,
    key: &Arc<KeyRecord>,
    now: Timestamp,
) -> Verdict {
    let shape = shape::check(view)?;
    let route = find_route(view, view.method, &shape, policy)?;
    admit(view, route, Arc::clone(key), false, now)
}

impl Question {
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Steps 5 to 7: the secret, the key's and the account's state, the permissions.
    pub fn close(self, answer: Answer, view: &RequestView<'_>, now: Timestamp) -> Verdict {
        let route = &self.route;
        let key = match answer {
            Answer::Known(key) if key.digest == *self.credential.digest() => key,
            Answer::Known(_) | Answer::Unknown => return Err(refuse(route, Denial::InvalidKey)),
            Answer::Unavailable => {
                let refusal = refuse(route, Denial::AuthUnavailable);
                return Err(Refusal { retry_after: Some(RETRY_AFTER), ..refusal });
            }
        };
        admit(view, route, key, self.read_from_authorization, now)
    }
}

/// Lets a request pass that a route in shadow would refuse, as if nobody stood in its way. What
/// does not depend on who calls holds all the same.
///
/// # Errors
/// It is not for its route to waive.
pub fn waive(refusal: Refusal, view: &RequestView<'_>) -> Verdict {
    let Some(route) = refusal.route.clone().filter(|route| route.options.shadow) else {
        return Err(refusal);
    };
    if !refusal.denial.is_about_access() {
        return Err(refusal);
    }
    let admission = admit_public(view, &route)?;
    let key = refusal.key.clone().filter(|_| refusal.denial.leaves_identity());
    Ok(Admission {
        matched: Matched::These(Vec::new()),
        key,
        waived: Some(Box::new(refusal)),
        ..admission
    })
}

/// Step 2 for a browser that asks before it calls. Without rules for that, it is not heard here.
fn admit_preflight(
    view: &RequestView<'_>,
    shape: &Shape<'_>,
    policy: &Policy,
) -> Option<Admission> {
    let asked = cors::asked_method(view)?;
    let route = find_route(view, &asked, shape, policy).ok()?;
    let rules = route.options.cors.as_ref()?;
    let preflight = Some(cors::preflight(route, rules, &asked, view.headers));
    Some(Admission { preflight, ..Admission::anonymous(route) })
}

/// Step 2, and what step 1 leaves to it: what the path holds besides is for its route to say.
fn find_route<'p>(
    view: &RequestView<'_>,
    method: &Method,
    shape: &Shape<'_>,
    policy: &'p Policy,
) -> Result<&'p Arc<Route>, Refusal> {
    let (host, path) = (&*shape.host, view.path());
    let found = policy.find(method, host, path);
    let allowed = match &found {
        Match::Route(route) => route.options.exceptions,
        _ => Exceptions::NONE,
    };
    shape.exceptions.within(allowed).map_err(|fault| shape::invalid(fault.0))?;
    match found {
        Match::Route(route)
            if shape.exceptions != Exceptions::NONE
                && policy.is_read_otherwise(route, host, path) =>
        {
            Err(shape::invalid(LOOKALIKE).into())
        }
        Match::Route(route) => Ok(route),
        Match::MethodNotAllowed(methods) => {
            Err(Refusal { allow: Some(methods), ..Refusal::new(Denial::MethodNotAllowed) })
        }
        Match::Ambiguous => Err(shape::invalid(LOOKALIKE).into()),
        Match::None => Err(Denial::NoRoute.into()),
    }
}

const LOOKALIKE: &str = "The path differs from another route's only in case, encoding or a slash";

/// Step 3.
fn admit_public(view: &RequestView<'_>, route: &Arc<Route>) -> Verdict {
    check_upgrade(view, route)?;
    check_length(view, route)?;
    Ok(Admission::anonymous(route))
}

/// Steps 6, 7 and 9. Every refusal names the key: its secret was right.
fn admit(
    view: &RequestView<'_>,
    route: &Arc<Route>,
    key: Arc<KeyRecord>,
    read_from_authorization: bool,
    now: Timestamp,
) -> Verdict {
    let Access::Require(requirement) = &route.access else { return admit_public(view, route) };
    let judged = check_state(view, route, &key, now)
        .map_err(|denial| refuse(route, denial))
        .and_then(|()| check_permissions(route, requirement, &key))
        .and_then(|matched| check_upgrade(view, route).map(|()| matched))
        .and_then(|matched| check_length(view, route).map(|()| matched));
    match judged {
        Ok(matched) => Ok(Admission {
            key: Some(key),
            matched,
            read_from_authorization,
            ..Admission::anonymous(route)
        }),
        Err(refusal) => Err(Refusal { key: Some(key), ..refusal }),
    }
}

/// Step 6. What is final comes first, then the key before its owner, then where it is used.
fn check_state(
    view: &RequestView<'_>,
    route: &Route,
    key: &KeyRecord,
    now: Timestamp,
) -> Result<(), Denial> {
    if let Some(denial) = key_state(key, now) {
        return Err(denial);
    }
    let environments = &route.options.environments;
    let client = view.client.to_canonical();
    let denials = [
        (
            !key.allowed_ips.is_empty() && !key.allowed_ips.iter().any(|net| net.contains(&client)),
            Denial::IpNotAllowed,
        ),
        (
            !environments.is_empty() && !environments.contains(&key.environment),
            Denial::EnvironmentNotAllowed,
        ),
    ];
    denials.into_iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, denial)| Err(denial))
}

/// What stands against a key wherever it is used.
pub fn key_state(key: &KeyRecord, now: Timestamp) -> Option<Denial> {
    let owner = &key.owner;
    let denials = [
        (key.revoked_at.is_some(), Denial::KeyRevoked),
        (key.disabled, Denial::KeyDisabled),
        (key.expires_at.is_some_and(|end| end <= now), Denial::KeyExpired),
        (owner.disabled, Denial::AccountDisabled),
        (owner.lock.is_some_and(|lock| lock.holds(now)), Denial::AccountLocked),
    ];
    denials.into_iter().find(|(holds, _)| *holds).map(|(_, denial)| denial)
}

/// Step 7.
fn check_permissions(
    route: &Arc<Route>,
    requirement: &Requirement,
    key: &KeyRecord,
) -> Result<Matched, Refusal> {
    if let Requirement::All(required) = requirement
        && required.iter().all(|permission| key.allows(permission))
    {
        return Ok(Matched::AllRequired);
    }
    requirement.judge(key).map(Matched::These).or_else(|missing| {
        let admin = Permission::admin();
        if route.options.admin_suffices && key.allows(&admin) {
            return Ok(Matched::These(vec![admin]));
        }
        Err(Refusal { missing, ..refuse(route, Denial::InsufficientPermissions) })
    })
}

/// Step 9: what the request wants to become.
fn check_upgrade(view: &RequestView<'_>, route: &Arc<Route>) -> Result<(), Refusal> {
    shape::check_upgrade(view, route)
        .map_err(|fault| Refusal { route: Some(Arc::clone(route)), ..fault.into() })
}

/// A body that says it is too large is not begun.
fn check_length(view: &RequestView<'_>, route: &Arc<Route>) -> Result<(), Refusal> {
    let Some(most) = route.options.max_body else { return Ok(()) };
    let declared = view.headers.get(CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_none_or(|length| length <= most) {
        return Ok(());
    }
    Err(refuse(route, Denial::BodyTooLarge))
}

fn refuse(route: &Arc<Route>, denial: Denial) -> Refusal {
    Refusal { route: Some(Arc::clone(route)), ..Refusal::new(denial) }
}
