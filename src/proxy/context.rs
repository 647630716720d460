//! What is known of one request while it is served.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pingora::protocols::l4::socket::SocketAddr;
use prometheus::IntGauge;
use uuid::Uuid;

use super::Live;
use crate::clock;
use crate::decision::{Admission, Denial, Failure, Outcome, Refusal, Standing, Verdict};
use crate::key::KeyRecord;
use crate::policy::Route;

/// The requests whose heads were read and whose answers are not yet written: what a stop waits for
/// is what the metric shows.
#[derive(Clone)]
pub struct InFlight {
    live: IntGauge,
    started: Arc<AtomicUsize>,
}

impl InFlight {
    pub fn new(live: IntGauge) -> Self {
        Self { live, started: Arc::default() }
    }

    pub fn count(&self) -> usize {
        usize::try_from(self.live.get()).unwrap_or_default()
    }

    /// How many there have been, those in flight included.
    pub fn started(&self) -> usize {
        self.started.load(Ordering::Acquire)
    }

    fn enter(&self) -> Ticket {
        self.live.inc();
        self.started.fetch_add(1, Ordering::AcqRel);
        Ticket(self.live.clone())
    }
}

/// One request in flight, until dropped.
struct Ticket(IntGauge);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.dec();
    }
}

pub struct Context {
    /// What the request started with, whatever is loaded meanwhile.
    pub live: Arc<Live>,
    started: Instant,
    pub at: Timestamp,
    pub request_id: Uuid,
    pub client: IpAddr,
    pub peer: IpAddr,
    pub peer_is_trusted: bool,
    /// `None` until the request is judged.
    pub verdict: Option<Verdict>,
    /// What went wrong after it was let in.
    pub failure: Option<Failure>,
    pub body_bytes: u64,
    pub attempts: u32,
    /// A server that could not be reached, so that the next attempt takes another.
    pub unreachable: Option<SocketAddr>,
    asked_upstream: Option<Instant>,
    heard_upstream: Option<Instant>,
    _in_flight: Ticket,
}

impl Context {
    pub fn new(in_flight: &InFlight, live: Arc<Live>) -> Self {
        let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            live,
            started: Instant::now(),
            at: clock::now(),
            request_id: Uuid::nil(),
            client: nobody,
            peer: nobody,
            peer_is_trusted: false,
            verdict: None,
            failure: None,
            body_bytes: 0,
            attempts: 0,
            unreachable: None,
            asked_upstream: None,
            heard_upstream: None,
            _in_flight: in_flight.enter(),
        }
    }

    pub fn admission(&self) -> Option<&Admission> {
        self.verdict.as_ref()?.as_ref().ok()
    }

    pub fn refusal(&self) -> Option<&Refusal> {
        self.verdict.as_ref()?.as_ref().err()
    }

    /// Where the caller of an admitted request stands with the tightest limit.
    pub fn standing(&self) -> Option<&Standing> {
        self.admission()?.standing()
    }

    pub fn route(&self) -> Option<&Arc<Route>> {
        match self.verdict.as_ref()? {
            Ok(admission) => Some(admission.route()),
            Err(refusal) => refusal.route.as_ref(),
        }
    }

    pub fn key(&self) -> Option<&Arc<KeyRecord>> {
        match self.verdict.as_ref()? {
            Ok(admission) => admission.key().or_else(|| admission.waived()?.key.as_ref()),
            Err(refusal) => refusal.key.as_ref(),
        }
    }

    /// Whether the outcome is what a route in shadow would have done, and did not.
    pub fn is_waived(&self) -> bool {
        self.failure.is_none() && self.admission().is_some_and(|a| a.waived().is_some())
    }

    /// Takes back what was allowed: the request turned out to be one that may not pass.
    pub fn refuse(&mut self, denial: Denial) {
        let (route, key) = (self.route().cloned(), self.key().cloned());
        self.verdict = Some(Err(Refusal { route, key, ..Refusal::new(denial) }));
    }

    pub fn outcome(&self) -> Outcome {
        match (&self.verdict, self.failure) {
            (Some(Err(refusal)), _) => Outcome::Deny(refusal.denial),
            (_, Some(failure)) => Outcome::Fail(failure),
            (Some(Ok(admission)), None) => match admission.waived() {
                Some(refusal) => Outcome::Deny(refusal.denial),
                None => Outcome::Allow,
            },
            (None, None) => Outcome::Fail(Failure::Internal),
        }
    }

    /// A new attempt to have the request answered.
    pub fn ask_upstream(&mut self) {
        self.attempts += 1;
        self.body_bytes = 0;
        self.asked_upstream.get_or_insert_with(Instant::now);
    }

    pub fn hear_upstream(&mut self) {
        self.heard_upstream = Some(Instant::now());
    }

    /// The time until now, and the upstream's part of it.
    pub fn times(&self) -> Times {
        let total = self.started.elapsed();
        let upstream = self.asked_upstream.map(|asked| {
            // An upstream that was never heard of took all the time there was.
            self.heard_upstream.map_or_else(|| asked.elapsed(), |heard| heard - asked)
        });
        Times { total, upstream }
    }
}

pub struct Times {
    pub total: Duration,
    pub upstream: Option<Duration>,
}

impl Times {
    /// What Gatepost itself took.
    pub fn gateway(&self) -> Duration {
        self.total.saturating_sub(self.upstream.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProxySettings;
    use crate::policy::{CredentialRules, Policy};

    fn in_flight() -> InFlight {
        InFlight::new(IntGauge::new("in_flight", "in a test").expect("a name"))
    }

    /// A configuration without routes.
    fn live() -> Arc<Live> {
        let policy = Policy::new(Vec::new(), CredentialRules::default(), "test");
        let settings = ProxySettings {
            max_connections: 1,
            max_connections_per_source: 1,
            listen: Vec::new(),
            trusted_proxies: Vec::new(),
            head_deadline: Duration::ZERO,
            grace: Duration::ZERO,
            threads: 1,
            keepalive: Duration::ZERO,
        };
        let live = Live::new(policy.expect("nothing conflicts"), Vec::new(), settings);
        Arc::new(live.expect("there is nothing to check").0)
    }

    #[test]
    fn a_request_is_in_flight_for_as_long_as_its_context() {
        let in_flight = in_flight();
        let first = Context::new(&in_flight, live());
        let second = Context::new(&in_flight, live());
        assert_eq!(in_flight.count(), 2);
        drop(first);
        assert_eq!(in_flight.count(), 1);
        drop(second);
        assert_eq!(in_flight.count(), 0);
        assert_eq!(in_flight.started(), 2);
    }

    #[test]
    fn a_request_that_was_never_judged_did_not_pass() {
        let context = Context::new(&in_flight(), live());
        assert_eq!(context.outcome(), Outcome::Fail(Failure::Internal));
    }

    #[test]
    fn what_is_refused_late_counts_as_refused() {
        let mut context = Context::new(&in_flight(), live());
        context.failure = Some(Failure::UpstreamBroken);
        context.refuse(Denial::BodyTooLarge);
        assert_eq!(context.outcome(), Outcome::Deny(Denial::BodyTooLarge));
    }
}
