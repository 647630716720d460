use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::connection::{NoAnswer, Server};
use crate::cli::complain;
use crate::cli::exit::{Exit, Failed};
use crate::config::Environment;

/// A key is less than a hundred bytes; more is the wrong file.
const MAX_KEY_FILE: u64 = 4096;

/// The management API, and the key to ask it with.
pub(super) struct Client {
    server: Server,
    key: Zeroizing<String>,
    runtime: Runtime,
    /// For changes to be effective on every node.
    waits: bool,
}

impl Client {
    pub(super) fn new(
        server: &str,
        key_file: Option<&Path>,
        env: &Environment,
    ) -> Result<Self, Failed> {
        let server = Server::parse(server).ok_or_else(|| {
            let hint = "it is a scheme and an address, such as http://127.0.0.1:9090";
            Failed::new(Exit::Usage, format!("error: {server} is no server\n  hint: {hint}"))
        })?;
        Ok(Self { server, key: key(key_file, env)?, runtime: crate::cli::runtime()?, waits: false })
    }

    pub(super) fn waiting(self, waits: bool) -> Self {
        Self { waits, ..self }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, Failed> {
        self.ask(Method::GET, path, None)
    }

    pub(super) fn post(&self, path: &str, body: Value) -> Result<Value, Failed> {
        self.ask(Method::POST, path, Some(body))
    }

    pub(super) fn patch(&self, path: &str, body: Value) -> Result<Value, Failed> {
        self.ask(Method::PATCH, path, Some(body))
    }

    pub(super) fn delete(&self, path: &str) -> Result<Value, Failed> {
        self.ask(Method::DELETE, path, None)
    }

    /// The rows of a list, page after page, at most `limit`.
    pub(super) fn list(
        &self,
        path: &str,
        filters: &[(&str, Option<String>)],
        limit: u32,
    ) -> Result<Vec<Value>, Failed> {
        let mut rows = Vec::new();
        let mut cursor = None;
        while rows.len() < limit as usize {
            let left = (limit as usize - rows.len()).min(200).to_string();
            let paging = [("limit", Some(left)), ("cursor", cursor)];
            let query = query(filters.iter().chain(&paging));
            let mut page = self.get(&format!("{path}?{query}"))?;
            if let Value::Array(data) = page["data"].take() {
                rows.extend(data);
            }
            match page["next_cursor"].take() {
                Value::String(next) => cursor = Some(next),
                _ => break,
            }
        }
        Ok(rows)
    }

    /// Writes a body of any length to `out` as it comes.
    pub(super) fn download(&self, path: &str, out: &mut dyn Write) -> Result<(), Failed> {
        self.runtime.block_on(async {
            let mut response = self.send(Method::GET, path, None).await?;
            if !response.status().is_success() {
                return Err(refused(response).await);
            }
            while let Some(frame) = response.frame().await {
                let frame = frame.map_err(|error| self.unreachable(&error.into()))?;
                if let Some(data) = frame.data_ref() {
                    out.write_all(data)?;
                }
            }
            Ok(())
        })
    }

    fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Failed> {
        self.runtime.block_on(async {
            let response = self.send(method, path, body).await?;
            if !response.status().is_success() {
                return Err(refused(response).await);
            }
            tell_nodes(&response);
            let body = response.into_body().collect().await;
            let body = body.map_err(|error| self.unreachable(&error.into()))?.to_bytes();
            if body.is_empty() {
                return Ok(Value::Null);
            }
            serde_json::from_slice(&body)
                .map_err(|_| Failed::new(Exit::Failure, "error: the answer is not JSON"))
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Response<Incoming>, Failed> {
        let mut key = HeaderValue::from_str(&self.key).map_err(|_| {
            Failed::new(Exit::Usage, "error: the key holds characters that no key has")
        })?;
        key.set_sensitive(true);
        let wait = if self.waits && method != Method::GET { "?wait=true" } else { "" };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{path}{wait}"))
            .header(HOST, self.server.authority())
            .header("x-api-key", key);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = request
            .body(Full::new(body))
            .map_err(|error| Failed::new(Exit::Usage, format!("error: {error}")))?;
        self.server.send(request).await.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &NoAnswer) -> Failed {
        let server = self.server.authority();
        let hint = "is it running? --server or GATEPOST_SERVER says where";
        Failed::new(Exit::Failure, format!("error: {server}: {error}\n  hint: {hint}"))
    }
}

/// The key of the file, or of `GATEPOST_KEY`.
fn key(file: Option<&Path>, env: &Environment) -> Result<Zeroizing<String>, Failed> {
    let text = match file {
        Some(path) => read_key(path)?,
        None => Zeroizing::new(env.get("GATEPOST_KEY").cloned().ok_or_else(|| {
            let hint = "put it into GATEPOST_KEY, or name a file that holds it with --key-file";
            Failed::new(Exit::Usage, format!("error: there is no key to ask with\n  hint: {hint}"))
        })?),
    };
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn read_key(path: &Path) -> Result<Zeroizing<String>, Failed> {
    use std::io::Read;
    let mut text = Zeroizing::new(String::new());
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_KEY_FILE).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(cause) => {
            Err(Failed::new(Exit::Failure, format!("error: {}: {cause}", path.display())))
        }
    }
}

/// The parameters that are given, encoded.
pub(super) fn query<'a>(parameters: impl Iterator<Item = &'a (&'a str, Option<String>)>) -> String {
    let given = parameters.filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let encoded = given.map(|(name, value)| format!("{name}={}", segment(value)));
    encoded.collect::<Vec<_>>().join("&")
}

/// A value as it stands in a path or a query.
pub(super) fn segment(text: &str) -> String {
    const ENCODED: &percent_encoding::AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');
    utf8_percent_encode(text, ENCODED).to_string()
}

/// On how many nodes a change is effective, when it was waited for.
fn tell_nodes(response: &Response<Incoming>) {
    if let Some(nodes) = response.headers().get("x-gatepost-nodes").and_then(|n| n.to_str().ok()) {
        complain(&format!("nodes: {nodes}"));
    }
}

/// The problem's own words, and the exit code that scripts tell the kinds apart by.
async fn refused(response: Response<Incoming>) -> Failed {
    let status = response.status();
    let body = response.into_body().collect().await.map(|body| body.to_bytes());
    let problem: Value =
        body.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let code = problem["code"].as_str().unwrap_or(status.as_str());
    let detail = problem["detail"].as_str().unwrap_or("there is no reason given");
    let mut message = format!("error: {detail} ({code})");
    if let Some(required) = problem["required"].as_array() {
        let names: Vec<_> = required.iter().filter_map(Value::as_str).collect();
        message.push_str(&format!("\n  hint: it needs {}", names.join(", ")));
    }
    Failed::new(exit(status), message)
}

fn exit(status: StatusCode) -> Exit {
    match status {
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            Exit::Denied
        }
        StatusCode::SERVICE_UNAVAILABLE => Exit::StoreUnreachable,
        StatusCode::BAD_REQUEST => Exit::Usage,
        _ => Exit::Failure,
    }
}
