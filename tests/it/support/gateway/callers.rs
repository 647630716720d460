//! What is asked of a gateway, through the proxy and as its administrator.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Gateway, Key, wire};

impl Gateway {
    // ---- through the proxy ----

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.proxy))
    }

    pub async fn get(&self, path: &str, key: &Key) -> Response {
        self.send(Method::GET, path, key).await
    }

    pub async fn send(&self, method: Method, path: &str, key: &Key) -> Response {
        let request = self.request(method, path).header("x-api-key", &key.text);
        request.send().await.expect("the proxy answers")
    }

    pub async fn status(&self, path: &str, key: &Key) -> StatusCode {
        self.get(path, key).await.status()
    }

    /// Sends bytes as they are and returns what comes back until the connection closes or nothing
    /// more comes for a moment.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        wire::raw(self.proxy, bytes).await
    }

    // ---- through the management listener ----

    pub async fn manage(
        &self,
        method: Method,
        path: &str,
        key: &Key,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = self
            .client
            .request(method, format!("http://{}{path}", self.management))
            .header("x-api-key", &key.text);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("the management listener answers");
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// As the admin, and it must work.
    pub async fn administer(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.manage(method.clone(), path, self.admin(), body).await;
        assert!(status.is_success(), "{method} {path}: {status}: {answer}");
        answer
    }

    /// A new user who has exactly these permissions, with a key that has them too.
    pub async fn key(&self, permissions: &[&str]) -> Key {
        self.key_with(permissions, json!({})).await
    }

    /// The same, with further members of the key.
    pub async fn key_with(&self, permissions: &[&str], more: Value) -> Key {
        let user = self.user(permissions).await;
        self.key_of(user, permissions, more).await
    }

    /// A new user with a role of exactly these permissions.
    pub async fn user(&self, permissions: &[&str]) -> Uuid {
        let unique = Uuid::now_v7().simple().to_string();
        let role = format!("role-{unique}");
        let body = json!({"name": role, "permissions": permissions});
        self.administer(Method::POST, "/api/v1/admin/roles", Some(body)).await;
        let body = json!({"email": format!("{unique}@example.com"), "roles": [role]});
        let user = self.administer(Method::POST, "/api/v1/admin/users", Some(body)).await;
        uuid(&user["id"])
    }

    pub async fn key_of(&self, user: Uuid, permissions: &[&str], more: Value) -> Key {
        let mut body = json!({"name": "a key", "permissions": permissions});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let path = format!("/api/v1/admin/users/{user}/api-keys");
        let made = self.administer(Method::POST, &path, Some(body)).await;
        Key {
            id: uuid(&made["id"]),
            user_id: user,
            lookup_id: made["lookup_id"].as_str().expect("a lookup id").to_owned(),
            text: made["api_key"].as_str().expect("the key").to_owned(),
        }
    }

    pub async fn revoke(&self, key: &Key) {
        let path = format!("/api/v1/admin/api-keys/{}", key.id);
        self.administer(Method::DELETE, &path, None).await;
    }
}

pub fn uuid(value: &Value) -> Uuid {
    value.as_str().and_then(|text| text.parse().ok()).expect("an id")
}

/// The problem's code, of a refusal.
pub async fn code(response: Response) -> String {
    let body: Value = response.json().await.expect("a problem in JSON");
    body["code"].as_str().expect("a code").to_owned()
}
