//! The command line: data on stdout, talk on stderr, one exit code per kind of end.

mod audit;
mod bootstrap;
mod check;
mod demo;
mod exit;
mod explain;
mod healthcheck;
mod migrate;
mod probe;
mod remote;
mod scan;
mod secret;
mod serve;
mod table;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, ConfigError, Environment};
use crate::management;
use exit::{Exit, Failed};

pub use check::{Checked, check};
pub use explain::{Explained, explain};
pub use probe::Probe;

/// API keys, roles, limits and a record of every call in front of APIs that already exist.
#[derive(Parser)]
#[command(name = "gatepost", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failure, 2 usage, 3 invalid config, 4 not found, \
5 store unreachable, 6 migrations pending, 7 denied or found.";

#[derive(Subcommand)]
enum Command {
    /// Everything at once on this machine: store, sample upstream, users and keys
    Demo {
        /// Where the demo keeps its data
        #[arg(long, value_name = "DIR", default_value = "./gatepost-demo")]
        data: PathBuf,
        /// The address that clients call
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
        proxy: SocketAddr,
        /// The address of the management API
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
        management: SocketAddr,
    },
    /// Serve: the proxy and the management listener
    Serve(ConfigFile),
    /// Validate a configuration, run its tests and print its routes in match order
    Check(ConfigFile),
    /// Tell which route a request matches, why the others lost, and the verdict
    Explain {
        #[command(flatten)]
        file: ConfigFile,
        method: String,
        path: String,
        /// A permission that the caller has; without any, the caller has no key
        #[arg(long = "permission", value_name = "PERMISSION")]
        permissions: Vec<String>,
        /// The Host that is asked for
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
    },
    /// Bring the store's schema up, show where it is, or undo the newest migration
    Migrate {
        #[command(flatten)]
        file: ConfigFile,
        #[arg(value_enum)]
        action: migrate::Action,
    },
    /// Make the first admin and print their key, alone on stdout
    Bootstrap {
        #[command(flatten)]
        file: ConfigFile,
        /// The admin's address
        #[arg(long, value_name = "EMAIL")]
        email: String,
        /// Make another one although there is an admin; the audit log tells
        #[arg(long)]
        again: bool,
    },
    #[command(flatten)]
    Remote(remote::Command),
    /// Find leaked keys in files; exit code 7 when there are any
    Scan {
        /// Files and folders; `-` is stdin
        #[arg(value_name = "PATH", default_value = ".")]
        paths: Vec<PathBuf>,
    },
    /// Verify the audit log
    Audit {
        #[command(subcommand)]
        action: audit::Action,
    },
    /// Change the SECRET_KEY that the nodes share
    Secret {
        #[command(subcommand)]
        action: secret::Action,
    },
    /// Ask a running gateway whether it is alive: exit code 0 or 1
    Healthcheck {
        /// The management address
        #[arg(long, env = "GATEPOST_SERVER", default_value = "http://127.0.0.1:9090")]
        server: String,
    },
    /// Print the OpenAPI document of the management API
    Openapi,
    /// Print the completion script of a shell
    Completions { shell: clap_complete::Shell },
}

#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(id = "config", long = "config", value_name = "FILE")]
    path: PathBuf,
}

/// Reads the command line, does what it says.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(exit) => exit.into(),
        Err(failed) => {
            complain(&failed.to_string());
            failed.exit.into()
        }
    }
}

fn run(command: Command) -> Result<Exit, Failed> {
    let env = environment();
    match command {
        Command::Demo { data, proxy, management } => demo::run(&data, proxy, management, env),
        Command::Serve(file) => serve::run(&file.path, env),
        Command::Check(file) => match check(&file.path, &env, &mut std::io::stdout())? {
            Checked::Valid => Ok(Exit::Ok),
            Checked::Invalid => Ok(Exit::InvalidConfig),
        },
        Command::Explain { file, method, path, permissions, host } => {
            let probe = Probe::parse(&method, path, host, &permissions)
                .map_err(|error| Failed::new(Exit::Usage, format!("error: {error}")))?;
            let config = load(&file.path, &env)?;
            match explain(&config, &probe, &mut std::io::stdout())? {
                Explained::Allowed => Ok(Exit::Ok),
                Explained::Denied => Ok(Exit::Denied),
            }
        }
        Command::Migrate { file, action } => migrate::run(&load(&file.path, &env)?, action),
        Command::Bootstrap { file, email, again } => {
            bootstrap::run(&load(&file.path, &env)?, &env, &email, again)
        }
        Command::Remote(command) => remote::run(command, &env),
        Command::Scan { paths } => scan::run(&paths),
        Command::Audit { action: audit::Action::Verify { file, head } } => {
            audit::verify(&load(&file.path, &env)?, &env, head)
        }
        Command::Secret { action: secret::Action::Rotate(file) } => {
            secret::run(&load(&file.path, &env)?, &env)
        }
        Command::Healthcheck { server } => healthcheck::run(&server),
        Command::Openapi => print(format!("{}\n", management::openapi()).as_bytes()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "gatepost", &mut script);
            print(&script)
        }
    }
}

/// The process's environment, read here and nowhere else.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// One thread is enough for a command that talks to the store once.
fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failed::new(Exit::Failure, format!("cannot start: {error}")))
}

/// Loads a configuration; its warnings are told, its errors end the command.
fn load(path: &Path, env: &Environment) -> Result<Config, Failed> {
    let config = Config::load(path, env)
        .map_err(|error: ConfigError| Failed::new(Exit::InvalidConfig, error.to_string()))?;
    for warning in &config.warnings {
        complain(&warning.to_string());
    }
    Ok(config)
}

/// Data, on stdout.
fn print(data: &[u8]) -> Result<Exit, Failed> {
    std::io::stdout().write_all(data).map(|()| Exit::Ok).or_else(|error| {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Ok(Exit::Ok)
        } else {
            Err(error.into())
        }
    })
}

/// Talk, on stderr; there is nobody to tell when that fails.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
