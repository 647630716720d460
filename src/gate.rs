//! The order of a decision, once, for every door.

use std::sync::Arc;

use crate::clock;
use crate::decision::{self, Answer, Credential, Denial, Opening, Refusal, Verdict};
use crate::directory::Directory;
use crate::guard::{Guard, Stranger};
use crate::key::KeyRecord;
use crate::limits::Limits;
use crate::lockout::Source;
use crate::policy::Policy;
use crate::request::RequestView;

/// Where every request is admitted or refused.
pub struct Gate {
    directory: Arc<Directory>,
    guard: Arc<Guard>,
    limits: Arc<Limits>,
}

impl Gate {
    pub fn new(directory: Arc<Directory>, guard: Arc<Guard>, limits: Arc<Limits>) -> Self {
        Self { directory, guard, limits }
    }

    /// Steps 1 to 8 of a request. A route in shadow notes a refusal, and lets it pass.
    pub async fn admit(&self, view: &RequestView<'_>, policy: &Policy) -> Verdict {
        match self.judge(view, policy).await {
            Err(refusal) if refusal.is_in_shadow() => decision::waive(refusal, view),
            verdict => verdict,
        }
    }

    async fn judge(&self, view: &RequestView<'_>, policy: &Policy) -> Verdict {
        let source = Source::of(view.client);
        // Shape, route and credential first: what fails here costs no look-up.
        let question = match decision::open(view, policy) {
            Opening::Deny(refusal) => return Err(self.turn_away(refusal, source, None)),
            // Nobody is known on a public route, but its clients have limits too.
            Opening::Allow(admission) => {
                return self.limits.admit(admission, view.client, clock::now()).await;
            }
            Opening::Ask(question) => question,
        };
        let credential = *question.credential();
        // A cached key never waits.
        let answer = match self.directory.cached(&credential) {
            Some(answer) => answer,
            None => self.directory.find(&credential).await,
        };
        let found = match &answer {
            Answer::Known(key) => Some(Arc::clone(key)),
            Answer::Unknown | Answer::Unavailable => None,
        };
        // The time is read last, so that a key that expired during a slow load is refused.
        let now = clock::now();
        let verdict = question.close(answer, view, now);
        let admission = match (found, verdict) {
            // Nobody's key: a source that tries too many of them is blocked.
            (None, verdict) => {
                verdict.map_err(|refusal| self.turn_away(refusal, source, Some(&credential)))
            }
            (Some(key), Err(refusal)) if refusal.key.is_none() => {
                // A wrong secret: whoever knows the id can lock out only themselves.
                if !refusal.is_in_shadow() {
                    self.guard.failed(source, Stranger::Guess(&key));
                }
                Err(refusal)
            }
            (Some(key), verdict) => self.judge_holder(&key, verdict, source),
        }?;
        // Last of all, so that a refused request is charged to nobody.
        self.limits.admit(admission, view.client, now).await
    }

    /// Steps 1 to 7 for a request that another door has admitted with `key`, and charged.
    pub fn admit_known(
        &self,
        view: &RequestView<'_>,
        policy: &Policy,
        key: &Arc<KeyRecord>,
    ) -> Verdict {
        let verdict = decision::admit_known(view, policy, key, clock::now());
        verdict.inspect_err(|refusal| self.guard.refused(key, refusal, Source::of(view.client)))
    }

    /// What a stranger is told: while the source is blocked, nothing of what was sent.
    fn turn_away(
        &self,
        refusal: Refusal,
        source: Source,
        credential: Option<&Credential>,
    ) -> Refusal {
        if !matches!(refusal.denial, Denial::MissingKey | Denial::InvalidKey) {
            return refusal;
        }
        // An id of our own making is judged as always: its holder may be behind the same address.
        let is_ours = credential.is_some_and(|credential| self.directory.is_ours(credential));
        if !is_ours && let Some(left) = self.guard.blocked(source) {
            return Refusal { denial: Denial::SourceBlocked, retry_after: Some(left), ..refusal };
        }
        if refusal.denial == Denial::InvalidKey && !refusal.is_in_shadow() {
            self.guard.failed(source, Stranger::Unknown(credential));
        }
        refusal
    }

    /// The secret was right.
    fn judge_holder(&self, key: &Arc<KeyRecord>, verdict: Verdict, source: Source) -> Verdict {
        // Before what the key may do, after what is final about it: step 6.
        let is_final =
            |refusal: &Refusal| refusal.denial.status() == http::StatusCode::UNAUTHORIZED;
        let is_open = !verdict.as_ref().is_err_and(is_final);
        if is_open && self.guard.locked(key, source) {
            let route = match &verdict {
                Ok(admission) => Some(Arc::clone(admission.route())),
                Err(refusal) => refusal.route.clone(),
            };
            let locked = Refusal::new(Denial::AccountLocked);
            return Err(Refusal { route, key: Some(Arc::clone(key)), ..locked });
        }
        match &verdict {
            Ok(_) => self.guard.authenticated(key, source),
            Err(refusal) if refusal.is_in_shadow() => {}
            Err(refusal) => self.guard.refused(key, refusal, source),
        }
        verdict
    }
}
