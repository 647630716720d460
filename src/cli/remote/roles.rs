use serde_json::json;

use super::client::segment;
use super::show::Column;
use super::users::{set, set_or_remove};
use super::{Paging, Session};
use crate::cli::exit::{Exit, Failed};

const PATH: &str = "/api/v1/admin/roles";

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("PERMISSIONS", "permissions"),
    ("BUILT IN", "built_in"),
    ("DESCRIPTION", "description"),
];

#[derive(clap::Subcommand)]
pub enum Action {
    /// All roles
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// One role
    Show { name: String },
    /// Make a role
    Create {
        name: String,
        /// e.g. orders:read; orders:* is every action on orders
        #[arg(long = "permission", value_name = "PERMISSION")]
        permissions: Vec<String>,
        #[arg(long)]
        description: Option<String>,
    },
    /// Change it; the permissions given replace those of before
    Update {
        name: String,
        #[arg(long = "permission", value_name = "PERMISSION")]
        permissions: Option<Vec<String>>,
        /// An empty one takes it away
        #[arg(long)]
        description: Option<String>,
    },
    /// Delete it, and take it from everybody who has it
    Delete { name: String },
}

pub(super) fn run(session: &Session, action: Action) -> Result<Exit, Failed> {
    let client = &session.client;
    let path = |name: &str| format!("{PATH}/{}", segment(name));
    match action {
        Action::List { paging } => session.rows(client.list(PATH, &[], paging.limit)?, COLUMNS),
        Action::Show { name } => session.one(&client.get(&path(&name))?),
        Action::Create { name, permissions, description } => {
            let mut body = json!({ "name": name, "permissions": permissions });
            set(&mut body, "description", description);
            session.one(&client.post(PATH, body)?)
        }
        Action::Update { name, permissions, description } => {
            let mut body = json!({});
            set(&mut body, "permissions", permissions);
            set_or_remove(&mut body, "description", description);
            session.one(&client.patch(&path(&name), body)?)
        }
        Action::Delete { name } => {
            session.confirm(&format!("Delete the role {name} and take it from all who have it"))?;
            client.delete(&path(&name))?;
            session.done(&format!("the role {name} is deleted"))
        }
    }
}
