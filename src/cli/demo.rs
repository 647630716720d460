use std::net::SocketAddr;
use std::path::Path;

use super::exit::{Exit, Failed};
use super::{complain, load, print, secret, serve};
use crate::config::{Config, Environment};
use crate::demo::{DemoKeys, Folder, people, sample_api};
use crate::server::{self, Source};
use crate::telemetry;

/// Runs until Ctrl-C; a second run finds the data of the first.
pub fn run(
    dir: &Path,
    proxy: SocketAddr,
    management: SocketAddr,
    mut env: Environment,
) -> Result<Exit, Failed> {
    let folder = Folder::open(dir).map_err(|e| at(dir, &e))?;
    let upstream = sample_upstream()?;
    // What is set for a real gateway is not meant for the demo.
    env.retain(|name, _| name != "DATABASE_URL" && !name.starts_with("GATEPOST_"));
    env.insert("DEMO_UPSTREAM".to_owned(), upstream.to_string());
    env.insert("GATEPOST_PROXY_LISTEN".to_owned(), proxy.to_string());
    env.insert("GATEPOST_MANAGEMENT_LISTEN".to_owned(), management.to_string());
    let source = Source { path: folder.config(), environment: env };
    let config = load(&source.path, &source.environment)?;
    let _logging = telemetry::init(&config.log);

    let keys = keys(&folder, &config, &source.environment)?;
    folder.write_env(&keys, proxy, management).map_err(|e| at(dir, &e))?;
    serve::with_secret(config, source, || welcome(dir, &keys, proxy, management))
}

/// The keys of the run before, or new ones.
fn keys(folder: &Folder, config: &Config, env: &Environment) -> Result<DemoKeys, Failed> {
    let secrets = secret::keys(env, &config.store.url)?;
    super::runtime()?.block_on(async {
        let store = server::open_beside(&config.store, &secrets).await?;
        if store.has_admin().await?
            && let Some(keys) = folder.keys()
        {
            return Ok(keys);
        }
        people(&*store).await.map_err(|error| Failed::new(Exit::Failure, format!("error: {error}")))
    })
}

/// Starts the sample API on a free port of loopback; it ends with the process.
fn sample_upstream() -> Result<SocketAddr, Failed> {
    let failed = |error: std::io::Error| Failed::new(Exit::Failure, format!("error: {error}"));
    let listener =
        std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let runtime = super::runtime()?;
    std::thread::Builder::new()
        .name("sample-api".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, sample_api()).await
            })
        })
        .map_err(failed)?;
    Ok(addr)
}

fn at(dir: &Path, error: &std::io::Error) -> Failed {
    Failed::new(Exit::Failure, format!("error: {}: {error}", dir.display()))
}

fn welcome(dir: &Path, keys: &DemoKeys, proxy: SocketAddr, management: SocketAddr) {
    let (admin, reader, developer) = (&*keys.admin, &*keys.reader, &*keys.developer);
    let orders = format!("http://{proxy}/api/v1/orders");
    let text = format!(
        "Gatepost is in front of a sample API.

  proxy       http://{proxy}
  management  http://{management}
  data        {dir}  (configuration, database, keys in demo.env)

  admin key      {admin}
  reader key     {reader}
  developer key  {developer}

Try it:

  curl -i {orders}                                  # 401: no key
  curl -i -H 'X-API-Key: wrong' {orders}            # 401: a wrong key
  curl -i -H 'X-API-Key: {reader}' {orders}         # 200: may read
  curl -i -X DELETE -H 'X-API-Key: {reader}' {orders}/1   # 403: may not delete
  curl -i -X DELETE -H 'X-API-Key: {admin}' {orders}/1    # 200: may do anything

Ctrl-C stops it; the next run finds its data again.
",
        dir = dir.display()
    );
    if print(text.as_bytes()).is_err() {
        complain("the demo is up, and its keys are in demo.env");
    }
}
