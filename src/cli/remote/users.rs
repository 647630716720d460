use serde_json::{Value, json};

use super::client::segment;
use super::show::Column;
use super::{Paging, Session};
use crate::cli::exit::{Exit, Failed};

const PATH: &str = "/api/v1/admin/users";

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("EMAIL", "email"),
    ("TIER", "subscription_tier"),
    ("ROLES", "roles"),
    ("LOCKED", "is_locked"),
    ("CREATED", "created_at"),
];

// A user is named by id or by email.
#[derive(clap::Subcommand)]
pub enum Action {
    /// All of them, or those who match
    List {
        #[arg(long)]
        email: Option<String>,
        #[arg(long)]
        role: Option<String>,
        #[arg(long, value_name = "BOOL")]
        locked: Option<bool>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One user with roles and lock
    Show { user: String },
    /// Make an account
    Create {
        #[arg(long)]
        email: String,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        tier: Option<String>,
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Change what is given
    Update {
        user: String,
        #[arg(long)]
        email: Option<String>,
        /// An empty one takes it away
        #[arg(long)]
        name: Option<String>,
        /// An empty one takes it away: unlimited
        #[arg(long)]
        tier: Option<String>,
    },
    /// Delete the account and revoke its keys
    Delete { user: String },
    /// Refuse all of the user's keys until the unlock
    Lock {
        user: String,
        #[arg(long)]
        reason: Option<String>,
        /// When it ends by itself, e.g. 2030-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// End a lock
    Unlock { user: String },
    /// Give or take roles
    Roles {
        #[command(subcommand)]
        action: RolesAction,
    },
}

#[derive(clap::Subcommand)]
pub enum RolesAction {
    /// Give roles
    Add {
        user: String,
        #[arg(required = true)]
        roles: Vec<String>,
    },
    /// Take a role
    Remove { user: String, role: String },
}

pub(super) fn run(session: &Session, action: Action) -> Result<Exit, Failed> {
    let client = &session.client;
    match action {
        Action::List { email, role, locked, paging } => {
            let locked = locked.map(|locked| locked.to_string());
            let filters = [("email", email), ("role", role), ("locked", locked)];
            session.rows(client.list(PATH, &filters, paging.limit)?, COLUMNS)
        }
        Action::Show { user } => session.one(&client.get(&path(session, &user)?)?),
        Action::Create { email, name, tier, roles } => {
            let mut body = json!({ "email": email, "roles": roles });
            set(&mut body, "display_name", name);
            set(&mut body, "subscription_tier", tier);
            session.one(&client.post(PATH, body)?)
        }
        Action::Update { user, email, name, tier } => {
            let mut body = json!({});
            set(&mut body, "email", email);
            set_or_remove(&mut body, "display_name", name);
            set_or_remove(&mut body, "subscription_tier", tier);
            session.one(&client.patch(&path(session, &user)?, body)?)
        }
        Action::Delete { user } => {
            let path = path(session, &user)?;
            session.confirm(&format!("Delete {user} and revoke all their keys"))?;
            client.delete(&path)?;
            session.done(&format!("{user} is deleted"))
        }
        Action::Lock { user, reason, until } => {
            let path = path(session, &user)?;
            session.confirm(&format!("Lock {user} out with all their keys"))?;
            let mut body = json!({});
            set(&mut body, "reason", reason);
            set(&mut body, "until", until);
            client.post(&format!("{path}/lock"), body)?;
            session.done(&format!("{user} is locked"))
        }
        Action::Unlock { user } => {
            client.post(&format!("{}/unlock", path(session, &user)?), json!({}))?;
            session.done(&format!("{user} is unlocked"))
        }
        Action::Roles { action: RolesAction::Add { user, roles } } => {
            let path = path(session, &user)?;
            session.one(&client.post(&format!("{path}/roles"), json!({ "roles": roles }))?)
        }
        Action::Roles { action: RolesAction::Remove { user, role } } => {
            let path = path(session, &user)?;
            client.delete(&format!("{path}/roles/{}", segment(&role)))?;
            session.done(&format!("{user} no longer has the role {role}"))
        }
    }
}

fn path(session: &Session, user: &str) -> Result<String, Failed> {
    Ok(format!("{PATH}/{}", segment(&id(session, user)?)))
}

/// The id of a user who is named by it or by email.
pub(super) fn id(session: &Session, user: &str) -> Result<String, Failed> {
    if !user.contains('@') {
        return Ok(user.to_owned());
    }
    let found = session.client.list(PATH, &[("email", Some(user.to_owned()))], 1)?;
    let id = found.first().and_then(|user| user["id"].as_str());
    let unknown = || Failed::new(Exit::NotFound, format!("error: there is no user {user}"));
    id.map(str::to_owned).ok_or_else(unknown)
}

/// A member that is given.
pub(super) fn set(body: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body[name] = value.into();
    }
}

/// The same, where an empty text stands for null.
pub(super) fn set_or_remove(body: &mut Value, name: &str, value: Option<String>) {
    let value = value.map(|text| if text.is_empty() { Value::Null } else { text.into() });
    set(body, name, value);
}
