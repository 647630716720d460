//! Administration over the management API: `users`, `roles`, `permissions`, `keys`, `usage`, `logs`.
//!
//! | file | what lives there |
//! |---|---|
//! | [`client`] | one request to the server, and what its refusal means for the exit code |
//! | [`connection`] | the socket, TLS and HTTP under it |
//! | [`show`] | an answer as a table for people, or as JSON for scripts |
//! | [`confirm`] | what asks before it destroys |
//! | the others | a command each: its words, and the requests they make |

mod client;
mod confirm;
mod connection;
mod keys;
mod logs;
mod permissions;
mod roles;
mod show;
mod usage;
mod users;

use std::path::PathBuf;

use super::exit::{Exit, Failed};
use crate::config::Environment;
use client::Client;
use show::Output;

#[derive(clap::Subcommand)]
pub enum Command {
    /// The owners of keys
    Users {
        #[command(subcommand)]
        action: users::Action,
        #[command(flatten)]
        options: Options,
    },
    /// Named sets of permissions
    Roles {
        #[command(subcommand)]
        action: roles::Action,
        #[command(flatten)]
        options: Options,
    },
    /// The permissions that people may choose from
    Permissions {
        #[command(subcommand)]
        action: permissions::Action,
        #[command(flatten)]
        options: Options,
    },
    /// API keys
    Keys {
        #[command(subcommand)]
        action: keys::Action,
        /// Your own keys, which need no permission on users
        #[arg(long, global = true)]
        own: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Requests, counted
    Usage {
        #[command(subcommand)]
        action: Option<usage::Action>,
        #[command(flatten)]
        options: Options,
    },
    /// Changes, security events and requests
    Logs {
        #[command(subcommand)]
        action: logs::Action,
        #[command(flatten)]
        options: Options,
    },
}

// How to reach the server, and how to answer. The key is never in a flag, where others can see it:
// it is in GATEPOST_KEY, or in a file. (Not a doc comment: clap would print it as help.)
#[derive(clap::Args)]
pub struct Options {
    /// The management address
    #[arg(long, global = true, env = "GATEPOST_SERVER", default_value = "http://127.0.0.1:9090")]
    server: String,
    /// A file that holds the key, instead of GATEPOST_KEY
    #[arg(long, global = true, env = "GATEPOST_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Do not ask before something is destroyed
    #[arg(long, global = true)]
    yes: bool,
    /// Wait until a change is effective on every node
    #[arg(long, global = true)]
    wait: bool,
}

/// What every command works with.
struct Session {
    client: Client,
    output: Output,
    yes: bool,
}

pub fn run(command: Command, env: &Environment) -> Result<Exit, Failed> {
    match command {
        Command::Users { action, options } => users::run(&options.session(env)?, action),
        Command::Roles { action, options } => roles::run(&options.session(env)?, action),
        Command::Permissions { action, options } => {
            permissions::run(&options.session(env)?, action)
        }
        Command::Keys { action, own, options } => keys::run(&options.session(env)?, own, action),
        Command::Usage { action, options } => {
            usage::run(&options.session(env)?, action.unwrap_or_default())
        }
        Command::Logs { action, options } => logs::run(&options.session(env)?, action),
    }
}

impl Options {
    fn session(&self, env: &Environment) -> Result<Session, Failed> {
        let client = Client::new(&self.server, self.key_file.as_deref(), env)?;
        let client = client.waiting(self.wait);
        Ok(Session { client, output: self.output, yes: self.yes })
    }
}

#[derive(clap::Args)]
pub struct Paging {
    /// At most this many rows
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}
