//! The wake-up: a connection of its own, outside the pool, that listens for changes.
//!
//! It is only a wake-up: a follower that hears nothing finds changes by polling the feed.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};
use tracing::warn;

use super::address::{Address, Stream};

pub(super) const CHANNEL: &str = "gatepost_changes";

/// The connection sends itself a word this often; one that does not come back in time is dead,
/// whatever TCP says.
const HEARTBEAT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(1);

/// Pause between attempts to connect: half to one and a half times.
const RETRY: Duration = Duration::from_millis(250);

/// Listens until it is dropped, and wakes `changed` for each change and after each gap.
pub(super) struct Listener {
    task: JoinHandle<()>,
}

impl Listener {
    pub(super) fn start(address: Address, changed: Arc<Notify>) -> Self {
        Self { task: tokio::spawn(async move { listen_for_ever(&address, &changed).await }) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen_for_ever(address: &Address, changed: &Arc<Notify>) {
    loop {
        if let Ok(Ok((client, connection))) = timeout(ANSWER, address.connect()).await {
            listen(&client, connection, changed).await;
            warn!("the connection that listens for changes was lost; polling until it is back");
        }
        sleep(RETRY.mul_f64(0.5 + fastrand::f64())).await;
    }
}

/// Returns when the connection is lost, or no longer answers.
async fn listen(client: &Client, connection: Connection<Socket, Stream>, changed: &Arc<Notify>) {
    let heard = Arc::new(Notify::new());
    let reader = Reader::start(connection, Arc::clone(changed), Arc::clone(&heard));
    // A channel that is this connection's alone.
    let echo = format!("gatepost_echo_{:016x}", fastrand::u64(..));
    let listen = format!("LISTEN {CHANNEL}; LISTEN {echo}");
    if !matches!(timeout(ANSWER, client.batch_execute(&listen)).await, Ok(Ok(()))) {
        return;
    }
    // Changes may have been made while nobody listened.
    changed.notify_one();
    let notify = format!("NOTIFY {echo}");
    while !reader.task.is_finished() {
        let beat = async {
            client.batch_execute(&notify).await.ok()?;
            heard.notified().await;
            Some(())
        };
        if !matches!(timeout(ANSWER, beat).await, Ok(Some(()))) {
            return;
        }
        sleep(HEARTBEAT).await;
    }
}

/// Reads the connection, on which nothing moves otherwise.
struct Reader {
    task: JoinHandle<()>,
}

impl Reader {
    fn start(
        mut connection: Connection<Socket, Stream>,
        changed: Arc<Notify>,
        heard: Arc<Notify>,
    ) -> Self {
        let task = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    AsyncMessage::Notification(word) if word.channel() == CHANNEL => {
                        changed.notify_one();
                    }
                    AsyncMessage::Notification(_) => heard.notify_one(),
                    _ => {}
                }
            }
        });
        Self { task }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
