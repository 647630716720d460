//! The signed identity, checked as an upstream does: by another library, from the published keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use gatepost::clock;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::gateway::{Gateway, Key, Plan, ROUTES, SECRET_KEY};

const NEXT_SECRET: &str = "c41d7a90be5f2683e70419fd8ab6c25d3e1f70948b6a5c2d";

/// The upstream `sample`, which asks for an assertion.
fn plan() -> Plan {
    Plan::new().routes(&format!("identity = [\"assertion\"]\n{ROUTES}"))
}

async fn key_set(gateway: &Gateway) -> Value {
    let url = format!("http://{}/.well-known/jwks.json", gateway.management);
    let response = gateway.client.get(url).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.expect("a key set")
}

/// What the request after which it is called was told of its caller.
async fn assertion(gateway: &Gateway, path: &str, key: &Key) -> String {
    assert_eq!(gateway.status(path, key).await, StatusCode::OK);
    let arrived = gateway.upstream.last();
    arrived.header("x-gatepost-assertion").expect("an assertion").to_owned()
}

fn decoded(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).expect("base64url without padding")
}

fn json_of(part: &str) -> Value {
    serde_json::from_slice(&decoded(part)).expect("JSON")
}

/// The claims, if one of the keys signed them.
fn checked(jwt: &str, keys: &Value) -> Option<Value> {
    let parts: Vec<_> = jwt.split('.').collect();
    let [head, payload, signature] = parts[..] else { panic!("{jwt} is no JWT") };
    let said = json_of(head);
    assert_eq!((&said["alg"], &said["typ"]), (&json!("EdDSA"), &json!("JWT")));
    let keys = keys["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["kid"] == said["kid"])?;
    assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
    let public = decoded(key["x"].as_str().expect("a point")).try_into().expect("32 bytes");
    let public = VerifyingKey::from_bytes(&public).expect("a point");
    let signature = Signature::from_slice(&decoded(signature)).expect("64 bytes");
    let signed = format!("{head}.{payload}");
    public.verify_strict(signed.as_bytes(), &signature).ok()?;
    Some(json_of(payload))
}

#[tokio::test]
async fn an_upstream_can_check_who_is_calling() {
    let gateway = plan().start().await;
    let key = gateway.key(&["orders:read", "orders:delete"]).await;
    let keys = key_set(&gateway).await;
    let jwt = assertion(&gateway, "/api/v1/orders", &key).await;
    let claims = checked(&jwt, &keys).expect("it is signed");

    assert_eq!(claims["sub"], json!(key.user_id));
    assert_eq!(claims["key_id"], json!(key.id));
    assert_eq!(claims["permissions"], json!(["orders:read"]), "what the route required");
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("gatepost"), &json!("sample")));
    assert!(claims["jti"].is_string());
    let time = |name: &str| claims[name].as_i64().expect("seconds");
    let now = clock::now().as_second();
    assert!((now - 30..=now).contains(&time("iat")) && time("exp") > now, "{claims}");
    assert!(time("exp") - time("iat") <= 60, "{claims}");

    let [head, payload, signature] = jwt.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let mut forged = json_of(payload);
    forged["sub"] = json!("0192f3a0-0000-7000-8000-0000000000ab");
    let forged = URL_SAFE_NO_PAD.encode(forged.to_string());
    assert!(checked(&format!("{head}.{forged}.{signature}"), &keys).is_none());
}

#[tokio::test]
async fn each_caller_and_route_has_its_own_and_a_client_has_none() {
    let gateway = plan().start().await;
    let (one, other) = (gateway.key(&["orders:read"]).await, gateway.key(&["orders:read"]).await);
    let first = assertion(&gateway, "/api/v1/orders", &one).await;
    assert_eq!(assertion(&gateway, "/api/v1/orders/7", &one).await, first, "it is used again");
    assert_ne!(assertion(&gateway, "/api/v1/orders", &other).await, first);
    assert_ne!(assertion(&gateway, "/files/a", &one).await, first, "it grants less");

    let request = gateway.client.get(format!("http://{}/health", gateway.proxy));
    let answer = request.header("X-Gatepost-Assertion", &first).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(gateway.upstream.last().header("x-gatepost-assertion"), None, "a public route");
}

#[tokio::test]
async fn amid_a_rotation_both_keys_are_published() {
    let behind = plan().start().await;
    let ahead = Plan::new().env("SECRET_KEY", NEXT_SECRET).env("SECRET_KEY_PREVIOUS", SECRET_KEY);
    let keys = key_set(&ahead.start().await).await;
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2));
    let key = behind.key(&["orders:read"]).await;
    let jwt = assertion(&behind, "/api/v1/orders", &key).await;
    assert!(checked(&jwt, &keys).is_some(), "a node that is not there yet is believed");
}
