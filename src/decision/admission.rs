use std::sync::Arc;

use jiff::Timestamp;

use super::{Credential, Denial, Refusal};
use crate::key::{KeyRecord, Permission};
use crate::policy::{Policy, Route};
use crate::request::RequestView;

/// The permission to forward one request. Its fields are private and it is made only here:
/// without one there is no upstream.
#[derive(Clone, Debug)]
pub struct Admission {
    route: Arc<Route>,
    key: Option<Arc<KeyRecord>>,
    matched: Vec<Permission>,
}

impl Admission {
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Who is calling; `None` on a public route.
    pub fn key(&self) -> Option<&Arc<KeyRecord>> {
        self.key.as_ref()
    }

    /// The required permissions that the key matched.
    pub fn matched(&self) -> &[Permission] {
        &self.matched
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
    let _ = (view, policy, Denial::NoRoute);
    todo!()
}

impl Question {
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Steps 5 to 7: the secret, the key's and the account's state, the permissions.
    pub fn close(self, answer: Answer, view: &RequestView<'_>, now: Timestamp) -> Verdict {
        let _ = (answer, view, now);
        todo!()
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
    let _ = (view, policy, key, now);
    todo!()
}
