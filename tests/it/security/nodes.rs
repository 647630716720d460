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
    for node in [&one, &two] {
        until("it is locked on both", async || {
            status(node, "192.0.2.1", ORDERS, &key.text).await == 403
        })
        .await;
        assert_eq!(status(node, "192.0.2.2", ORDERS, &key.text).await, 200);
    }
    let path = format!("/api/v1/admin/users/{}/unlock", key.user_id);
    one.administer(http::Method::POST, &path, None).await;
    until("it is unlocked on both", async || {
        status(&two, "192.0.2.1", ORDERS, &key.text).await == 200
    })
    .await;
}
