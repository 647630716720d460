//! The order of a decision, once, for every door.

use std::sync::Arc;

use crate::clock;
use crate::decision::{self, Opening, Verdict};
use crate::directory::Directory;
use crate::key::KeyRecord;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::request::RequestView;

/// Where every request is admitted or refused.
pub struct Gate {
    directory: Arc<Directory>,
    limits: Arc<Limits>,
}

impl Gate {
    pub fn new(directory: Arc<Directory>, limits: Arc<Limits>) -> Self {
        Self { directory, limits }
    }

    /// Steps 1 to 8 of a request.
    pub async fn admit(&self, view: &RequestView<'_>, policy: &Policy) -> Verdict {
        // Shape, route and credential first: what fails here costs no look-up.
        let question = match decision::open(view, policy) {
            Opening::Deny(refusal) => return Err(refusal),
            // Nobody is known on a public route, but its clients have limits too.
            Opening::Allow(admission) => {
                return self.limits.admit(admission, view.client, clock::now()).await;
            }
            Opening::Ask(question) => question,
        };
        // A cached key never waits.
        let answer = match self.directory.cached(question.credential()) {
            Some(answer) => answer,
            None => self.directory.find(question.credential()).await,
        };
        // The time is read last, so that a key that expired during a slow load is refused.
        let now = clock::now();
        let admission = question.close(answer, view, now)?;
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
        decision::admit_known(view, policy, key, clock::now())
    }
}
