//! Rates that all nodes keep together, in Redis or Valkey.
//!
//! One script call takes from all limits of a request or from none. It has a few milliseconds;
//! without an answer the node goes on by its own meters, which know where the shared ones stood.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{RedisError, Script};
use tokio::time::timeout;

use super::applied::RateLimit;
use super::gcra::TooEarly;
use super::meters::Subject;
use crate::config::SharedSettings;
use crate::metrics::Metrics;

/// After a failure one request in so much time finds out whether the backend is back.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// A connection that takes longer than this is no use for what it is for.
const CONNECT: Duration = Duration::from_secs(1);

/// GCRA in microseconds of the backend's clock, so that the nodes' own need not agree. What the
/// node knows to be used counts too: a backend that has lost its data, or was away for a while,
/// forgives nothing. A microsecond is what rounding may come to.
const SCRIPT: &str = r"
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local arrivals, refused, early = {}, 0, 1
    for i, key in ipairs(KEYS) do
        local interval, tolerance, known = unpack(ARGV, 3 * i - 2, 3 * i)
        local arrival = math.max(tonumber(redis.call('GET', key) or 0), now + known)
        arrivals[i] = arrival + interval
        local beyond = arrivals[i] - now - tolerance
        if beyond > early then refused, early = i, beyond end
    end
    if refused > 0 then return {refused, math.ceil(early)} end
    local answer = {0}
    for i, key in ipairs(KEYS) do
        local ahead = arrivals[i] - now
        redis.call('SET', key, string.format('%.2f', arrivals[i]),
                   'PX', string.format('%.0f', math.ceil(ahead / 1000) + 1))
        answer[i + 1] = math.ceil(ahead)
    end
    return answer";

pub struct SharedRates {
    client: redis::Client,
    connection: ConnectionManager,
    script: Script,
    budget: Duration,
    /// Zero while the backend answers; else when to try it again, in nanoseconds of the node's
    /// monotonic clock.
    probe_at: AtomicU64,
    metrics: Arc<Metrics>,
}

/// What the backend said to one request.
pub enum Answer {
    /// Taken from all; how far each is ahead of an even pace, in nanoseconds.
    Taken(Vec<u64>),
    /// Taken from none, because of this one.
    Refused(usize, TooEarly),
}

impl SharedRates {
    /// Connects when it is first asked for something.
    ///
    /// # Errors
    /// The address is wrong.
    pub fn new(settings: &SharedSettings, metrics: Arc<Metrics>) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT))
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(10));
        let client = redis::Client::open(settings.url.as_str())?;
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client.clone(), config)?,
            client,
            script: Script::new(SCRIPT),
            budget: settings.budget,
            probe_at: AtomicU64::new(0),
            metrics,
        })
    }

    /// Takes one request from each limit, or from none. `None`: the backend did not answer.
    pub async fn take(&self, limits: &[RateLimit], route: &str, now: u64) -> Option<Answer> {
        if !self.may_ask(now) {
            self.metrics.limits.backend_local.inc();
            return None;
        }
        match timeout(self.budget, self.ask(limits, route, now)).await {
            Ok(Ok(numbers)) => {
                self.metrics.limits.backend_shared.inc();
                if self.probe_at.swap(0, Relaxed) != 0 {
                    tracing::info!("the limits' backend answers again");
                }
                Some(read(&numbers))
            }
            _ => {
                self.metrics.limits.backend_local.inc();
                let next = now.saturating_add(PROBE_EVERY.as_nanos() as u64);
                if self.probe_at.swap(next, Relaxed) == 0 {
                    tokio::spawn(tell_why(self.client.clone()));
                }
                None
            }
        }
    }

    /// While the backend is away, one request at a time tries it.
    fn may_ask(&self, now: u64) -> bool {
        let probe_at = self.probe_at.load(Relaxed);
        let next = now.saturating_add(PROBE_EVERY.as_nanos() as u64);
        probe_at == 0
            || (now >= probe_at
                && self.probe_at.compare_exchange(probe_at, next, Relaxed, Relaxed).is_ok())
    }

    async fn ask(
        &self,
        limits: &[RateLimit],
        route: &str,
        now: u64,
    ) -> Result<Vec<i64>, RedisError> {
        let mut call = self.script.prepare_invoke();
        for limit in limits {
            let micros = |nanos: u64| nanos as f64 / 1000.0;
            call.key(name(&limit.subject, route, limit.pace.interval));
            call.arg(micros(limit.pace.interval)).arg(micros(limit.pace.tolerance));
            call.arg(micros(limit.meter.rate.full_at().saturating_sub(now)));
        }
        call.invoke_async(&mut self.connection.clone()).await
    }
}

/// The budget is too short to find out: a wrong password looks like a slow answer.
async fn tell_why(client: redis::Client) {
    let cause = match timeout(CONNECT, client.get_multiplexed_async_connection()).await {
        Ok(Ok(_)) => "no answer in time".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no connection in time".to_owned(),
    };
    tracing::warn!(cause, "the limits' backend is away; limits are per node");
}

/// A changed rate goes by a new name, so that whoever still has the old one does not disturb it.
/// What was used is taken over: nodes know it.
fn name(subject: &Subject, route: &str, interval: u64) -> String {
    match subject {
        Subject::User(id) => format!("gatepost:rate:user:{id}:{interval}"),
        Subject::Key(id) => format!("gatepost:rate:key:{id}:{interval}"),
        Subject::RouteKey(_, id) => format!("gatepost:rate:route:{route}:key:{id}:{interval}"),
        Subject::RouteClient(_, client) => {
            format!("gatepost:rate:route:{route}:client:{client}:{interval}")
        }
    }
}

fn read(numbers: &[i64]) -> Answer {
    let nanos = |micros: &i64| micros.unsigned_abs().saturating_mul(1000);
    match numbers {
        [0, ahead @ ..] => Answer::Taken(ahead.iter().map(nanos).collect()),
        [index, early, ..] => {
            let early = Duration::from_micros(early.unsigned_abs());
            Answer::Refused(index.unsigned_abs() as usize - 1, TooEarly(early))
        }
        // The script always answers with one of the two.
        _ => Answer::Taken(Vec::new()),
    }
}
