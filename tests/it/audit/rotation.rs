use reqwest::{Method, StatusCode};
use serde_json::json;

use super::Stand;
use crate::support::gateway::{Gateway, Plan, SECRET_KEY};
use crate::support::postgres::TestDatabase;

const NEW_SECRET: &str = "9c3e5a7b1d0f2846a8c0e2f4163758097b5d3f1e9a7c5b3d";

async fn create_role(gateway: &Gateway, name: &str) -> StatusCode {
    let body = json!({"name": name, "permissions": []});
    let path = "/api/v1/admin/roles";
    gateway.manage(Method::POST, path, gateway.admin(), Some(body)).await.0
}

#[tokio::test]
async fn two_nodes_go_through_a_rotation_without_a_stop() {
    let database = TestDatabase::new().await;
    let first = Plan::new()
        .on_postgres(&database.url())
        .env("SECRET_KEY", NEW_SECRET)
        .env("SECRET_KEY_PREVIOUS", SECRET_KEY);
    // The store is at the old secret: a node with that one was here before.
    let old = Plan::new().on_postgres(&database.url()).start().await;
    let mut one = first.start_beside(&old).await;
    let two = Plan::new()
        .on_postgres(&database.url())
        .env("SECRET_KEY", NEW_SECRET)
        .env("SECRET_KEY_PREVIOUS", SECRET_KEY)
        .start_beside(&old)
        .await;
    assert_eq!(create_role(&one, "before").await, StatusCode::CREATED);

    let old_head = one.run_words(&["audit", "verify"], &[]);
    let old_head = String::from_utf8(old_head.stdout).unwrap().trim().to_owned();
    let rotated = one.run_words(&["secret", "rotate"], &[]);
    let said = String::from_utf8_lossy(&rotated.stderr).into_owned();
    assert_eq!(rotated.status.code(), Some(0), "{said}");

    assert_eq!(create_role(&one, "by-one").await, StatusCode::CREATED);
    assert_eq!(create_role(&two, "by-two").await, StatusCode::CREATED);
    assert!(create_role(&old, "by-old").await.is_server_error(), "its secret is no more");
    assert_eq!(old.status("/api/v1/orders", old.admin()).await, StatusCode::OK, "it still serves");

    // The chain is one, under the new secret, and knows the head from before.
    let verified = one.run_words(&["audit", "verify"], &["--head", &old_head]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stderr));
    let with_old = old.run_words(&["audit", "verify"], &[]);
    assert_eq!(with_old.status.code(), Some(1));

    // Again is once too often, and a restart needs the new one alone.
    assert_eq!(one.run_words(&["secret", "rotate"], &[]).status.code(), Some(1));
    assert!(one.terminate().await.success());
    let alone = Plan::new().on_postgres(&database.url()).env("SECRET_KEY", NEW_SECRET);
    let alone = alone.start_beside(&old).await;
    assert_eq!(create_role(&alone, "alone").await, StatusCode::CREATED);
}

#[tokio::test]
async fn a_rotation_needs_to_be_told_which_secret_goes() {
    let stand = Stand::postgres().await;
    let output = stand.gateway.run_words(&["secret", "rotate"], &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("SECRET_KEY_PREVIOUS") && !said.contains(SECRET_KEY), "{said}");
}

#[tokio::test]
async fn the_secret_beside_an_embedded_store_is_renewed() {
    let mut gateway = Plan::new().without_secret().start().await;
    let file = gateway.dir().join("gatepost.db.secret");
    let before = std::fs::read_to_string(&file).unwrap();
    let rotated = gateway.run_words(&["secret", "rotate"], &[]);
    assert_eq!(rotated.status.code(), Some(0), "{}", String::from_utf8_lossy(&rotated.stderr));
    assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
    assert!(!gateway.dir().join("gatepost.db.secret.previous").exists());

    assert!(create_role(&gateway, "by-old").await.is_server_error(), "until it is restarted");
    assert!(gateway.terminate().await.success());
    gateway.run();
    gateway.ready().await;
    assert_eq!(create_role(&gateway, "by-new").await, StatusCode::CREATED);
    assert_eq!(gateway.run_words(&["audit", "verify"], &[]).status.code(), Some(0));
}
