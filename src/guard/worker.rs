use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use super::{Guard, reason};
use crate::clock;
use crate::directory::Directory;
use crate::lockout::{Ledger, Recent, Target};
use crate::metrics::Metrics;
use crate::store::{Actor, Change, StoreError};

/// How often nodes tell each other.
const EVERY: Duration = Duration::from_secs(1);

/// What a node asks for beyond the time since it last heard: transactions that were under way.
const OVERLAP: Duration = Duration::from_secs(10);

/// What a node asks for first: all that can still matter.
const FIRST: Duration = Duration::from_secs(25 * 60 * 60);

/// How long attempts and events are kept, and how often the older ones are deleted.
const KEEP_ATTEMPTS: SignedDuration = SignedDuration::from_hours(25);
const KEEP_EVENTS: SignedDuration = SignedDuration::from_hours(90 * 24);
const TIDY: Duration = Duration::from_secs(60 * 60);

/// Shares what this node counts with the others, once a second.
pub struct Worker {
    guard: Arc<Guard>,
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
    heard: Option<Instant>,
    tidied: Instant,
    /// How far the audit log has been read for changes of roles.
    seq: Option<u64>,
    /// Accounts to be locked, until the store has taken it.
    due: HashMap<Uuid, Timestamp>,
}

impl Worker {
    pub fn new(guard: Arc<Guard>, directory: Arc<Directory>, metrics: Arc<Metrics>) -> Self {
        Self {
            guard,
            directory,
            metrics,
            heard: None,
            tidied: Instant::now(),
            seq: None,
            due: HashMap::new(),
        }
    }

    /// Until `stop` resolves; then once more, so that a stop forgets nothing.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.round().await,
                () = &mut stop => break,
            }
        }
        let _ = timeout(EVERY, self.exchange()).await;
    }

    async fn round(&mut self) {
        if !self.directory.is_ready() {
            return;
        }
        if let Err(error) = self.exchange().await {
            tracing::debug!(%error, "failed attempts cannot be shared now");
            return;
        }
        self.lock_accounts().await;
        if let Err(error) = self.settle().await {
            tracing::debug!(%error, "changes cannot be read now");
        }
        if self.tidied.elapsed() >= TIDY {
            self.tidied = Instant::now();
            self.tidy().await;
        }
    }

    /// Says what was counted, and hears what all nodes have. An answer that was lost on its way
    /// makes attempts count twice for the others: it locks sooner, never later.
    async fn exchange(&mut self) -> Result<(), StoreError> {
        let asked = Instant::now();
        let since = self.heard.map_or(FIRST, |heard| heard.elapsed() + OVERLAP);
        let said = self.guard.lockout.take();
        let timer = self.metrics.store.exchange.start_timer();
        let heard = self.directory.store().exchange(&said, Recent(since.min(FIRST))).await;
        timer.observe_duration();
        let news = match heard {
            Ok(news) => news,
            Err(error) => {
                self.guard.lockout.put_back(said);
                return Err(error);
            }
        };
        self.heard = Some(asked);
        let now = clock::now();
        self.note_due(&said);
        let findings = self.guard.lockout.apply(&news, now);
        self.guard.tell(findings, now);
        Ok(())
    }

    fn note_due(&mut self, said: &Ledger) {
        for lock in &said.locks {
            if let Target::Account(user) = lock.target {
                self.due.insert(user, lock.until);
            }
        }
    }

    /// An account is locked where people see it, and by the way that every change takes.
    async fn lock_accounts(&mut self) {
        for (user, until) in std::mem::take(&mut self.due) {
            if self.is_locked_already(user).await {
                continue;
            }
            let reason = reason(Target::Account(user)).map(str::to_owned);
            let by =
                Actor { user_id: None, key_id: None, ip: None, request_id: None, at: clock::now() };
            let change = Change::LockUser { id: user, until: Some(until), reason };
            match self.directory.commit(change, &by).await {
                Ok(_) => {}
                Err(StoreError::Unavailable(_)) => {
                    self.due.insert(user, until);
                }
                Err(error) => tracing::warn!(%user, %error, "the account is not locked everywhere"),
            }
        }
    }

    /// An administrator's lock is not shortened.
    async fn is_locked_already(&self, user: Uuid) -> bool {
        let row = self.directory.store().user(user).await;
        row.is_ok_and(|row| {
            row.is_some_and(|row| {
                row.is_locked && row.locked_until.is_none_or(|until| until > clock::now())
            })
        })
    }

    /// Learns whose roles have just changed.
    async fn settle(&mut self) -> Result<(), StoreError> {
        let changes = self.directory.store().role_changes(self.seq).await?;
        self.seq = Some(changes.seq);
        let (lockout, now) = (&self.guard.lockout, clock::now());
        changes.users.iter().for_each(|user| lockout.account_changed(*user, now));
        changes.roles.iter().for_each(|role| lockout.role_changed(role, now));
        if changes.role_gone {
            lockout.routes_changed(now);
        }
        Ok(())
    }

    async fn tidy(&self) {
        let now = clock::now();
        let before = |age| now.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH);
        let (attempts, events) = (before(KEEP_ATTEMPTS), before(KEEP_EVENTS));
        if let Err(error) = self.directory.store().forget_security(attempts, events).await {
            tracing::warn!(%error, "old attempts and events cannot be deleted now");
        }
    }
}
