//! Who changed what: written with the change, chained, listed, exported, verified.

mod chain;
mod logs;
mod rotation;
mod unused;

use crate::support::gateway::{Gateway, Plan};
use crate::support::postgres::TestDatabase;

/// Makes a test of each story on both stores.
macro_rules! on_both_stores {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $story() {
                super::$story(&mut crate::audit::Stand::sqlite().await).await;
            })+
        }
        mod on_postgres {
            $(#[tokio::test] async fn $story() {
                super::$story(&mut crate::audit::Stand::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_both_stores;

/// A gateway, and a way past it into its store.
pub struct Stand {
    // Fields are dropped in this order: the gateway goes before its database.
    pub gateway: Gateway,
    pub database: Option<TestDatabase>,
}

impl Stand {
    pub async fn sqlite() -> Self {
        Self { gateway: Plan::new().start().await, database: None }
    }

    pub async fn postgres() -> Self {
        let database = TestDatabase::new().await;
        let gateway = Plan::new().on_postgres(&database.url()).start().await;
        Self { gateway, database: Some(database) }
    }

    /// As somebody does who has the database and not the secret.
    pub fn tamper(&self, sql: &str) {
        match &self.database {
            Some(database) => database.execute(sql),
            None => {
                let db = rusqlite::Connection::open(self.gateway.dir().join("gatepost.db"));
                let db = db.expect("it opens");
                db.busy_timeout(std::time::Duration::from_secs(5)).expect("it waits");
                db.execute_batch(sql).expect("it runs");
            }
        }
    }

    /// `gatepost audit verify`: the exit code, stdout and stderr.
    pub fn verify(&self, more: &[&str]) -> (Option<i32>, String, String) {
        let output = self.gateway.run_words(&["audit", "verify"], more);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }
}
