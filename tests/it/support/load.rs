//! Clients that ask again and again until they are told to stop, and keep a ledger.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::gateway::{Gateway, Key};

/// What the clients have seen.
#[derive(Clone, Default)]
pub struct Ledger {
    /// Answers by status.
    pub answers: BTreeMap<u16, usize>,
    /// The request ids of the answers, and when each was there.
    pub ids: BTreeMap<String, Instant>,
    /// Connections that were refused: the request never left.
    pub refused: usize,
    /// Requests that got no answer, or half of one.
    pub lost: Vec<String>,
}

impl Ledger {
    pub fn answered(&self) -> usize {
        self.answers.values().sum()
    }

    pub fn status(&self, status: u16) -> usize {
        self.answers.get(&status).copied().unwrap_or_default()
    }
}

/// Without the ids: there are thousands.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answers, refused, lost, .. } = self;
        write!(f, "answers {answers:?}, {refused} refused, lost {lost:?}")
    }
}

pub struct Load {
    stop: Arc<AtomicBool>,
    ledger: Arc<Mutex<Ledger>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// `clients` keep-alive connections, each with a pause of `pause` between its requests.
    pub fn start(
        gateway: &Gateway,
        path: &str,
        key: &Key,
        clients: usize,
        pause: Duration,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let url = format!("http://{}{path}", gateway.proxy);
        let clients = (0..clients).map(|_| {
            let (stop, ledger, url) = (stop.clone(), ledger.clone(), url.clone());
            let key = key.text.clone();
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                while !stop.load(Ordering::Relaxed) {
                    ask(&client, &url, &key, &ledger).await;
                    tokio::time::sleep(pause).await;
                }
            })
        });
        Self { clients: clients.collect(), stop, ledger }
    }

    /// What has been seen since the last call.
    pub fn take(&self) -> Ledger {
        std::mem::take(&mut *self.ledger.lock())
    }

    /// Waits for the requests under way.
    pub async fn stop(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("a client does not panic");
        }
        self.ledger.lock().clone()
    }
}

async fn ask(client: &reqwest::Client, url: &str, key: &str, ledger: &Mutex<Ledger>) {
    let answer = client.get(url).header("x-api-key", key).send().await;
    let whole = match answer {
        Ok(response) => {
            let status = response.status().as_u16();
            let id = response.headers().get("x-request-id").cloned();
            response.bytes().await.map(|_| (status, id))
        }
        Err(error) => Err(error),
    };
    let refused = {
        let mut ledger = ledger.lock();
        match whole {
            Ok((status, id)) => {
                *ledger.answers.entry(status).or_default() += 1;
                let id = id.as_ref().and_then(|id| id.to_str().ok()).expect("each has an id");
                ledger.ids.insert(id.to_owned(), Instant::now());
                false
            }
            Err(error) if error.is_connect() => {
                ledger.refused += 1;
                true
            }
            Err(error) => {
                ledger.lost.push(format!("{error:?}"));
                false
            }
        }
    };
    if refused {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
