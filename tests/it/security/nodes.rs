use http::Method;

use super::{from, guess, plan, status, until};
use crate::support::postgres::TestDatabase;

const ORDERS: &str = "/api/v1/orders";

#[tokio::test]
async fn attempts_spread_over_two_nodes_add_up() {
    let database = TestDatabase::new().await;
    let one = plan().on_postgres(&database.url()).start().await;
    let two = plan().on_postgres(&database.url()).start_beside(&one).await;
    let key = one.key(&["orders:read"]).await;
    for n in 0..5 {
        from(&one, "192.0.2.1", ORDERS, &guess(&key, n)).await;
        from(&two, "192.0.2.1", ORDERS, &guess(&key, 100 + n)).await;
    }
    // The right key would make the source known, so nobody sends it before.
    until("the lock is shared", async || {
        let blocks = two.administer(Method::GET, "/api/v1/admin/blocks", None).await;
        blocks["data"].as_array().is_some_and(|blocks| blocks.len() == 1)
    })
    .await;
    for node in [&one, &two] {
        until("it is locked on both", async || {
            status(node, "192.0.2.1", ORDERS, &key.text).await == 403
        })
        .await;
        assert_eq!(status(node, "192.0.2.2", ORDERS, &key.text).await, 200);
    }
    let path = format!("/api/v1/admin/users/{}/unlock", key.user_id);
    one.administer(Method::POST, &path, None).await;
    until("it is unlocked on both", async || {
        status(&two, "192.0.2.1", ORDERS, &key.text).await == 200
    })
    .await;
}
