use serde_json::json;

use super::client::segment;
use super::show::Column;
use super::users::set;
use super::{Paging, Session};
use crate::cli::exit::{Exit, Failed};

const PATH: &str = "/api/v1/admin/permissions";

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("CATEGORY", "category"),
    ("BUILT IN", "built_in"),
    ("DESCRIPTION", "description"),
];

#[derive(clap::Subcommand)]
pub enum Action {
    /// All permissions
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Define one
    Create {
        /// resource:action
        name: String,
        #[arg(long)]
        category: Option<String>,
        #[arg(long)]
        description: Option<String>,
    },
    /// Take one out of the list
    Delete { name: String },
}

pub(super) fn run(session: &Session, action: Action) -> Result<Exit, Failed> {
    let client = &session.client;
    match action {
        Action::List { paging } => session.rows(client.list(PATH, &[], paging.limit)?, COLUMNS),
        Action::Create { name, category, description } => {
            let mut body = json!({ "name": name });
            set(&mut body, "category", category);
            set(&mut body, "description", description);
            session.one(&client.post(PATH, body)?)
        }
        Action::Delete { name } => {
            session.confirm(&format!("Delete the permission {name}"))?;
            client.delete(&format!("{PATH}/{}", segment(&name)))?;
            session.done(&format!("the permission {name} is deleted"))
        }
    }
}
