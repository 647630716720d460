use http::Method;
use serde_json::json;

use super::{events, from, guess, many_routes, plan, status, stranger, until};
use crate::support::gateway::{Gateway, Plan, code};
use crate::support::postgres::TestDatabase;

const ORDERS: &str = "/api/v1/orders";

/// Tells a story on both stores.
macro_rules! on_both {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $story() { super::$story(super::plan()).await; })+
        }
        mod on_postgres {
            $(#[tokio::test] async fn $story() {
                let database = super::TestDatabase::new().await;
                super::$story(super::plan().on_postgres(&database.url())).await;
            })+
        }
    };
}

on_both!(
    ten_guesses_lock_the_account_for_the_guesser_alone,
    twenty_different_misuses_lock_the_account_everywhere,
    a_neighbour_with_a_good_key_passes_a_block,
    counts_and_locks_survive_a_restart,
);

async fn ten_guesses_lock_the_account_for_the_guesser_alone(plan: Plan) {
    let gateway = plan.start().await;
    let key = gateway.key(&["orders:read"]).await;
    for n in 0..9 {
        assert_eq!(status(&gateway, "192.0.2.1", ORDERS, &guess(&key, n)).await, 401);
    }
    // It would make the source known, so the tenth guess comes before the right key.
    assert_eq!(status(&gateway, "192.0.2.1", ORDERS, &guess(&key, 9)).await, 401);
    let locked = from(&gateway, "192.0.2.1", ORDERS, &key.text).await;
    assert_eq!(code(locked).await, "account_locked", "even the right key, there");
    assert_eq!(status(&gateway, "192.0.2.2", ORDERS, &key.text).await, 200, "the owner elsewhere");
    until("it is listed", async || {
        let blocks = gateway.administer(Method::GET, "/api/v1/admin/blocks", None).await;
        blocks["data"][0]["kind"] == "guess"
    })
    .await;
    let path = format!("/api/v1/admin/users/{}", key.user_id);
    let user = gateway.administer(Method::GET, &path, None).await;
    assert_eq!(user["is_locked"], false, "{user}");
    assert_eq!(user["failed_attempts"], 10, "{user}");
    assert_eq!(events(&gateway, "brute_force").await.len(), 1);

    gateway.administer(Method::POST, &format!("{path}/unlock"), None).await;
    assert_eq!(status(&gateway, "192.0.2.1", ORDERS, &key.text).await, 200);
}

async fn twenty_different_misuses_lock_the_account_everywhere(plan: Plan) {
    let gateway = plan.and_routes(&many_routes(20)).start().await;
    let key = gateway.key(&["orders:read"]).await;
    for n in (0..19).chain([18; 100]) {
        let path = format!("/secret/{n}");
        assert_eq!(
            code(from(&gateway, "192.0.2.1", &path, &key.text).await).await,
            "insufficient_permissions"
        );
    }
    assert_eq!(status(&gateway, "192.0.2.1", ORDERS, &key.text).await, 200, "nineteen, repeated");
    from(&gateway, "192.0.2.1", "/secret/19", &key.text).await;
    let locked = from(&gateway, "198.51.100.7", ORDERS, &key.text).await;
    assert_eq!(code(locked).await, "account_locked");
    let path = format!("/api/v1/admin/users/{}", key.user_id);
    until("people see it", async || {
        gateway.administer(Method::GET, &path, None).await["is_locked"] == true
    })
    .await;
    let user = gateway.administer(Method::GET, &path, None).await;
    assert!(user["locked_until"].is_string(), "it ends by itself: {user}");
    assert_eq!(events(&gateway, "misuse").await.len(), 1);

    gateway.administer(Method::POST, &format!("{path}/unlock"), None).await;
    assert_eq!(status(&gateway, "198.51.100.7", ORDERS, &key.text).await, 200, "ends by hand");
}

async fn a_neighbour_with_a_good_key_passes_a_block(plan: Plan) {
    let gateway = plan.start().await;
    let key = gateway.key(&["orders:read"]).await;
    for n in 0..20 {
        assert_eq!(status(&gateway, "192.0.2.1", ORDERS, &stranger(n)).await, 401, "{n}");
    }
    let blocked = from(&gateway, "192.0.2.1", ORDERS, &stranger(20)).await;
    assert!(blocked.headers().contains_key("retry-after"));
    assert_eq!((blocked.status().as_u16(), code(blocked).await), (429, "source_blocked".into()));
    assert_eq!(status(&gateway, "192.0.2.1", ORDERS, "not ours").await, 429);
    assert_eq!(status(&gateway, "192.0.2.1", ORDERS, "").await, 429, "in place of every 401");
    assert_eq!(status(&gateway, "192.0.2.1", "/health", "").await, 200, "public routes go on");
    assert_eq!(status(&gateway, "192.0.2.1", ORDERS, &key.text).await, 200, "the neighbour");
    assert_eq!(status(&gateway, "192.0.2.1", ORDERS, &guess(&key, 1)).await, 401, "judged as ever");
    assert_eq!(status(&gateway, "192.0.2.2", ORDERS, &stranger(21)).await, 401, "elsewhere");

    until("it is listed", async || {
        let path = "/api/v1/admin/blocks?source=192.0.2.1";
        !gateway.administer(Method::GET, path, None).await["data"].as_array().unwrap().is_empty()
    })
    .await;
    let blocks = gateway.administer(Method::GET, "/api/v1/admin/blocks", None).await;
    let path = format!("/api/v1/admin/blocks/{}", blocks["data"][0]["id"].as_str().unwrap());
    gateway.administer(Method::DELETE, &path, None).await;
    assert_eq!(status(&gateway, "192.0.2.1", ORDERS, &stranger(22)).await, 401, "lifted by hand");
    let lifted = events(&gateway, "block_lifted").await;
    assert_eq!(lifted[0]["evidence"]["lifted"], "source", "{lifted:?}");
    let (status, _) = gateway.manage(Method::DELETE, &path, gateway.admin(), None).await;
    assert_eq!(status, 404);
}

async fn counts_and_locks_survive_a_restart(plan: Plan) {
    let mut gateway = plan.start().await;
    let (one, two) = (gateway.key(&["orders:read"]).await, gateway.key(&["orders:read"]).await);
    for n in 0..9 {
        from(&gateway, "192.0.2.1", ORDERS, &guess(&one, n)).await;
    }
    for n in 0..10 {
        from(&gateway, "192.0.2.2", ORDERS, &guess(&two, n)).await;
    }
    assert!(gateway.terminate().await.success());
    gateway.run();
    gateway.ready().await;
    until("the lock is known again", async || {
        status(&gateway, "192.0.2.2", ORDERS, &two.text).await == 403
    })
    .await;
    from(&gateway, "192.0.2.1", ORDERS, &guess(&one, 9)).await;
    assert_eq!(status(&gateway, "192.0.2.1", ORDERS, &one.text).await, 403, "the tenth");
}

#[tokio::test]
async fn a_sidecar_on_loopback_is_never_locked_by_guessing() {
    let gateway = Gateway::start().await;
    let key = gateway.key(&["orders:read"]).await;
    assert_eq!(gateway.status(ORDERS, &key).await, 200);
    for n in 0..50 {
        let request = gateway.request(Method::GET, ORDERS).header("x-api-key", guess(&key, n));
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    assert_eq!(gateway.status(ORDERS, &key).await, 200);
}

#[tokio::test]
async fn an_administrators_lock_has_no_end() {
    let gateway = plan().start().await;
    let key = gateway.key(&["orders:read"]).await;
    let path = format!("/api/v1/admin/users/{}", key.user_id);
    gateway.administer(Method::POST, &format!("{path}/lock"), Some(json!({}))).await;
    let user = gateway.administer(Method::GET, &path, None).await;
    assert_eq!((&user["is_locked"], &user["locked_until"]), (&json!(true), &json!(null)));
    assert_eq!(status(&gateway, "192.0.2.1", ORDERS, &key.text).await, 403);
}

#[tokio::test]
async fn thresholds_are_reloaded_while_it_runs() {
    let gateway = plan().extra("\n[lockout]\nguesses = 100\n").start().await;
    let key = gateway.key(&["orders:read"]).await;
    for n in 0..5 {
        from(&gateway, "192.0.2.1", ORDERS, &guess(&key, n)).await;
    }
    gateway.configure(&gateway.configuration().replace("guesses = 100", "guesses = 6"));
    gateway.signal(rustix::process::Signal::HUP);
    gateway.says("the configuration was reloaded").await;
    from(&gateway, "192.0.2.1", ORDERS, &guess(&key, 5)).await;
    let locked = from(&gateway, "192.0.2.1", ORDERS, &key.text).await;
    assert_eq!(code(locked).await, "account_locked", "what was counted goes on counting");
}
