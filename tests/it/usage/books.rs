//! Where records are kept, and what they have to agree with: the ledger of those who asked.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::Connection;

use crate::support::gateway::{Gateway, Key, Plan};
use crate::support::load::{Ledger, Load};
use crate::support::postgres::{Cluster, TestDatabase};

pub const ORDERS: &str = "/api/v1/orders";
pub const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(2);

pub enum Books {
    /// A server of its own, for stories that break it.
    Postgres(Cluster),
    Shared(TestDatabase),
    /// Whoever holds the connection keeps the gateway from writing.
    Sqlite(Option<Connection>),
}

impl Books {
    pub fn postgres() -> Self {
        Self::Postgres(Cluster::start(""))
    }

    pub async fn shared() -> Self {
        Self::Shared(TestDatabase::new().await)
    }

    pub fn sqlite() -> Self {
        Self::Sqlite(None)
    }

    pub fn plan(&self) -> Plan {
        match self {
            Books::Postgres(cluster) => Plan::new().on_postgres(&cluster.url("postgres")),
            Books::Shared(database) => Plan::new().on_postgres(&database.url()),
            Books::Sqlite(_) => Plan::new(),
        }
    }

    /// From now on the gateway reaches its store no more.
    pub fn close(&mut self, gateway: &Gateway) {
        match self {
            Books::Postgres(cluster) => cluster.kill(),
            Books::Shared(_) => panic!("others use this server"),
            Books::Sqlite(writer) => {
                let db = open(gateway);
                db.busy_timeout(Duration::from_secs(10)).expect("it can be set");
                db.execute_batch("BEGIN IMMEDIATE").expect("a turn to write");
                *writer = Some(db);
            }
        }
    }

    pub fn open_again(&mut self) {
        match self {
            Books::Postgres(cluster) => cluster.restart(),
            Books::Shared(_) => {}
            Books::Sqlite(writer) => *writer = None,
        }
    }

    /// The first column of the rows of `sql`.
    pub fn texts(&self, gateway: &Gateway, sql: &str) -> Vec<String> {
        match self {
            Books::Postgres(cluster) => cluster.texts("postgres", sql),
            Books::Shared(database) => database.texts(sql),
            Books::Sqlite(_) => {
                let db = open(gateway);
                let mut statement = db.prepare(sql).expect("it prepares");
                let rows = statement.query_map([], |row| row.get(0)).expect("it runs");
                rows.map(|row| row.expect("a text")).collect()
            }
        }
    }

    /// Values of a record of two kilobytes, in the dialect of the store; `n` names a number.
    pub fn row(&self, n: &str) -> String {
        let path = format!("'/{}'", "x".repeat(2_000));
        let [at, id] = match self {
            Books::Sqlite(_) => {
                let id = format!("printf('00000000-0000-7000-8000-%012d', {n})");
                ["1795391700000000".to_owned(), id]
            }
            _ => ["now()".to_owned(), "gen_random_uuid()".to_owned()],
        };
        format!("{path}, 'GET', 200, {at}, {id}, 'n', 'allow', 1, 0, 0, '192.0.2.7'")
    }

    /// The ids of the records of one route; none comes twice, in the records or in the counts.
    pub fn recorded(&self, gateway: &Gateway, route: &str) -> BTreeSet<String> {
        let sql = format!("SELECT CAST(request_id AS TEXT) FROM api_usage WHERE route = '{route}'");
        let ids = self.texts(gateway, &sql);
        let unique: BTreeSet<_> = ids.iter().cloned().collect();
        assert_eq!(unique.len(), ids.len(), "a record is doubled");
        let sql = format!(
            "SELECT CAST(coalesce(sum(requests), 0) AS TEXT) FROM usage_rollups
              WHERE route = '{route}'"
        );
        assert_eq!(self.texts(gateway, &sql), [ids.len().to_string()], "counted by the minute");
        unique
    }

    /// Each answer has its record, and each record its answer, unless a client never got it.
    pub fn agree(&self, gateway: &Gateway, route: &str, ledger: &Ledger) {
        let recorded = self.recorded(gateway, route);
        let missing = ledger.ids.keys().filter(|id| !recorded.contains(*id)).count();
        let made_up = recorded.iter().filter(|id| !ledger.ids.contains_key(*id)).count();
        assert_eq!(missing, 0, "of {ledger:?}");
        assert!(made_up <= ledger.lost.len(), "{made_up} records without an answer: {ledger:?}");
        assert_eq!(ledger.ids.len(), ledger.answered(), "ids are unique");
    }
}

fn open(gateway: &Gateway) -> Connection {
    Connection::open(gateway.dir().join("gatepost.db")).expect("the database is there")
}

pub async fn a_gateway(books: &Books) -> (Gateway, Key) {
    let gateway = books.plan().start().await;
    let key = gateway.key(&["orders:read"]).await;
    (gateway, key)
}

/// Clients who go on asking. The key is tried first: what the store has not told yet it cannot
/// tell while it is away.
pub async fn load(gateway: &Gateway, key: &Key) -> Load {
    assert_eq!(gateway.status("/files/x", key).await, 200);
    Load::start(gateway, ORDERS, key, CLIENTS, PAUSE)
}

pub fn assert_all_answered(ledger: &Ledger) {
    assert_eq!(ledger.answered(), ledger.status(200), "{ledger:?}");
    assert!(ledger.answered() > 10, "{ledger:?}");
    assert!(ledger.lost.is_empty(), "{ledger:?}");
}

/// Makes a test of each story on either store, with the Postgres that is given.
macro_rules! on_both_stores {
    ($postgres:expr; $($story:ident),+ $(,)?) => {
        mod on_sqlite {
            use super::Books;
            $(#[tokio::test]
            async fn $story() {
                super::$story(Books::sqlite()).await;
            })+
        }
        mod on_postgres {
            use super::Books;
            $(#[tokio::test]
            async fn $story() {
                super::$story($postgres).await;
            })+
        }
    };
}
pub(super) use on_both_stores;
