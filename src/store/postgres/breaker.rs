//! Stops asking a store that does not answer, and finds out by itself when it does again.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::store::StoreError;

/// Failures in a row after which the store counts as lost.
const TRIP: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a probe keeps others out; longer than any call on the request path takes.
const PROBE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    /// Set while the breaker is open.
    open: Option<Open>,
}

struct Open {
    until: Instant,
    pause: Duration,
    cause: String,
}

impl Breaker {
    /// Lets a call through unless the store is known to be lost. When a pause is over, one call
    /// goes through as a probe.
    pub(super) fn enter(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let Some(open) = &mut state.open else { return Ok(()) };
        let now = Instant::now();
        if now < open.until {
            return Err(StoreError::Unavailable(open.cause.clone()));
        }
        open.until = now + PROBE;
        Ok(())
    }

    /// Takes note of how a call ended. A store that refuses a change is well.
    pub(super) fn note<T>(&self, result: &Result<T, StoreError>) {
        match result {
            Err(StoreError::Unavailable(cause) | StoreError::Incompatible(cause)) => {
                self.failed(cause);
            }
            _ => *self.state.lock() = State::default(),
        }
    }

    fn failed(&self, cause: &str) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures < TRIP {
            return;
        }
        let pause = match &state.open {
            Some(open) => (open.pause * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        let until = Instant::now() + jittered(pause);
        state.open = Some(Open { until, pause, cause: cause.to_owned() });
    }
}

/// Half to one and a half times, so that nodes that lost the store together do not come back
/// together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> Result<(), StoreError> {
        Err(StoreError::Unavailable("gone".into()))
    }

    fn open_breaker() -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..TRIP {
            assert!(breaker.enter().is_ok());
            breaker.note(&lost());
        }
        breaker
    }

    /// As if the pause were over.
    fn let_the_pause_pass(breaker: &Breaker) {
        breaker.state.lock().open.as_mut().unwrap().until = Instant::now();
    }

    #[test]
    fn failures_in_a_row_open_it_and_the_answer_is_the_cause() {
        let error = open_breaker().enter().unwrap_err();
        assert_eq!(error.to_string(), "the store is unavailable: gone");
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let breaker = Breaker::default();
        for _ in 0..TRIP * 2 {
            breaker.note(&lost());
            breaker.note(&Ok(()));
        }
        assert!(breaker.enter().is_ok());
    }

    #[test]
    fn a_refused_change_is_not_a_failure() {
        let breaker = Breaker::default();
        for _ in 0..TRIP * 2 {
            breaker.note::<()>(&Err(StoreError::NotFound { what: "user" }));
        }
        assert!(breaker.enter().is_ok());
    }

    #[test]
    fn one_probe_goes_through_after_the_pause_and_its_success_closes_it() {
        let breaker = open_breaker();
        let_the_pause_pass(&breaker);
        assert!(breaker.enter().is_ok(), "the probe");
        assert!(breaker.enter().is_err(), "not a second one");
        breaker.note(&Ok(()));
        assert!(breaker.enter().is_ok());
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let breaker = open_breaker();
        for _ in 0..10 {
            breaker.note(&lost());
        }
        assert_eq!(breaker.state.lock().open.as_ref().unwrap().pause, LONGEST_PAUSE);
    }
}
