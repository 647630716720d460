use std::io::Read;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::client::segment;
use super::show::Column;
use super::users::{self, set, set_or_remove};
use super::{Paging, Session};
use crate::cli::exit::{Exit, Failed};

const ALL: &str = "/api/v1/admin/api-keys";
const OWN: &str = "/api/v1/api-keys";

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("LOOKUP ID", "lookup_id"),
    ("NAME", "name"),
    ("OWNER", "user_id"),
    ("PERMISSIONS", "permissions"),
    ("EXPIRES", "expires_at"),
    ("REVOKED", "revoked_at"),
    ("LAST USED", "last_used_at"),
];

/// A lookup id has sixteen characters, an id thirty-six.
const LOOKUP_ID: usize = 16;

/// A key is less than a hundred bytes.
const MAX_KEY: u64 = 4096;

// A key is named by its id or its lookup id, its owner by id or email.
#[derive(clap::Subcommand)]
pub enum Action {
    /// The keys of all, or of one user
    List {
        #[arg(long)]
        user: Option<String>,
        #[arg(long)]
        environment: Option<String>,
        #[arg(long, value_name = "BOOL")]
        revoked: Option<bool>,
        #[arg(long, value_name = "BOOL")]
        disabled: Option<bool>,
        /// Those that work and should be looked at
        #[arg(long, value_enum)]
        attention: Option<Attention>,
        #[command(flatten)]
        paging: Paging,
    },
    /// What a key is, and which of its permissions no request has needed lately
    Show {
        key: String,
        #[arg(long, default_value_t = 30)]
        days: u16,
    },
    /// Make a key; it is shown once
    Create {
        #[command(flatten)]
        new: New,
        /// Nothing but the key on stdout
        #[arg(long, short)]
        quiet: bool,
    },
    /// Make a new key in the place of one; the new key is shown once
    Rotate {
        key: String,
        /// How long the old one goes on working, e.g. 24h
        #[arg(long, default_value = "0s", value_name = "DURATION")]
        overlap: String,
        /// Nothing but the key on stdout
        #[arg(long, short)]
        quiet: bool,
    },
    /// Change what is given
    Update {
        key: String,
        #[arg(long)]
        name: Option<String>,
        /// Those given replace those of before
        #[arg(long = "permission", value_name = "PERMISSION")]
        permissions: Option<Vec<String>>,
        /// Those given replace those of before; an empty one takes them away
        #[arg(long = "allowed-ip", value_name = "NETWORK")]
        allowed_ips: Option<Vec<String>>,
        /// An empty one takes it away
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// An empty one takes it away
        #[arg(long)]
        rate: Option<String>,
        /// An empty one takes it away
        #[arg(long)]
        quota: Option<String>,
    },
    /// Out of use until it is enabled again
    Disable { key: String },
    /// Back in use
    Enable { key: String },
    /// Out of use for ever
    Revoke { key: String },
    /// Take over a key of another system by its SHA-256
    Import {
        #[command(flatten)]
        new: New,
        /// SHA-256 of the whole key, in hex
        #[arg(long, value_name = "HEX")]
        sha256: String,
    },
    /// Tell whether the key on stdin works, and whose it is; exit code 7 when it does not
    Verify,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Attention {
    /// Ends within two weeks
    NearingExpiry,
    NeverUsed,
    /// Neither made nor used within 90 days
    Unused,
}

impl Attention {
    fn name(self) -> &'static str {
        match self {
            Attention::NearingExpiry => "nearing_expiry",
            Attention::NeverUsed => "never_used",
            Attention::Unused => "unused",
        }
    }
}

#[derive(clap::Args)]
pub struct New {
    /// The owner, unless it is you (--own)
    #[arg(long)]
    user: Option<String>,
    #[arg(long)]
    name: String,
    /// e.g. orders:read; without any it can only show its profile
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Vec<String>,
    #[arg(long)]
    environment: Option<String>,
    /// e.g. 2030-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// A network that it may be used from; without any it may from all
    #[arg(long = "allowed-ip", value_name = "NETWORK")]
    allowed_ips: Option<Vec<String>>,
    /// A limit of its own, e.g. 60/min
    #[arg(long)]
    rate: Option<String>,
    /// A quota of its own, e.g. 10000/month
    #[arg(long)]
    quota: Option<String>,
}

impl New {
    fn body(self) -> Value {
        let mut body = json!({ "name": self.name, "permissions": self.permissions });
        set(&mut body, "environment", self.environment);
        set(&mut body, "expires_at", self.expires_at);
        set(&mut body, "allowed_ips", self.allowed_ips);
        set(&mut body, "rate", self.rate);
        set(&mut body, "quota", self.quota);
        body
    }
}

/// Keys within reach: everybody's, or one's own, which need no permission on users.
struct Keys<'a> {
    session: &'a Session,
    own: bool,
}

pub(super) fn run(session: &Session, own: bool, action: Action) -> Result<Exit, Failed> {
    let (client, keys) = (&session.client, Keys { session, own });
    match action {
        Action::List { user, environment, revoked, disabled, attention, paging } => {
            let user_id = user.map(|user| users::id(session, &user)).transpose()?;
            let filters = [
                ("user_id", user_id),
                ("environment", environment),
                ("revoked", revoked.map(|revoked| revoked.to_string())),
                ("disabled", disabled.map(|disabled| disabled.to_string())),
                ("attention", attention.map(|why| why.name().to_owned())),
            ];
            session.rows(client.list(keys.collection(), &filters, paging.limit)?, COLUMNS)
        }
        Action::Show { key, days } => keys.show(&key, days),
        Action::Create { new, quiet } => {
            let path = match keys.owner(new.user.as_deref())? {
                Some(owner) => format!("/api/v1/admin/users/{}/api-keys", segment(&owner)),
                None => OWN.to_owned(),
            };
            session.key(client.post(&path, new.body())?, quiet)
        }
        Action::Rotate { key, overlap, quiet } => {
            let path = keys.path(&key)?;
            if is_zero(&overlap) {
                session.confirm(&format!("Revoke {key} at once and make a new one"))?;
            }
            let body = json!({ "overlap": overlap });
            session.key(client.post(&format!("{path}/rotate"), body)?, quiet)
        }
        Action::Update { key, name, permissions, allowed_ips, expires_at, rate, quota } => {
            let mut body = json!({});
            set(&mut body, "name", name);
            set(&mut body, "permissions", permissions);
            let networks = |nets: Vec<String>| nets.into_iter().filter(|net| !net.is_empty());
            let allowed_ips = allowed_ips.map(|nets| networks(nets).collect::<Vec<_>>());
            set(&mut body, "allowed_ips", allowed_ips);
            set_or_remove(&mut body, "expires_at", expires_at);
            set_or_remove(&mut body, "rate", rate);
            set_or_remove(&mut body, "quota", quota);
            session.one(&client.patch(&keys.path(&key)?, body)?)
        }
        Action::Disable { key } => {
            let path = keys.path(&key)?;
            session.confirm(&format!("Disable {key}"))?;
            session.one(&client.patch(&path, json!({ "disabled": true }))?)
        }
        Action::Enable { key } => {
            session.one(&client.patch(&keys.path(&key)?, json!({ "disabled": false }))?)
        }
        Action::Revoke { key } => {
            let path = keys.path(&key)?;
            session.confirm(&format!("Revoke {key} for ever"))?;
            client.delete(&path)?;
            session.done(&format!("{key} is revoked"))
        }
        Action::Import { new, sha256 } => {
            let owner = keys.owner(new.user.as_deref())?;
            let mut body = new.body();
            set(&mut body, "user_id", owner);
            body["key_hash"] = sha256.into();
            session.one(&client.post(&format!("{ALL}/import"), body)?)
        }
        Action::Verify => verify(session),
    }
}

impl Keys<'_> {
    fn collection(&self) -> &'static str {
        if self.own { OWN } else { ALL }
    }

    /// Whose key is made; `None` is one's own.
    fn owner(&self, user: Option<&str>) -> Result<Option<String>, Failed> {
        match (user, self.own) {
            (Some(user), false) => users::id(self.session, user).map(Some),
            (None, true) => Ok(None),
            _ => {
                let hint = "--user says, or --own for yourself";
                let message = format!("error: whose key is it?\n  hint: {hint}");
                Err(Failed::new(Exit::Usage, message))
            }
        }
    }

    fn show(&self, key: &str, days: u16) -> Result<Exit, Failed> {
        let (client, path) = (&self.session.client, self.path(key)?);
        let mut row = client.get(&path)?;
        if !self.own {
            let unused = client.get(&format!("{path}/unused-permissions?days={days}"))?;
            row["unused_permissions"] = unused["unused"].clone();
        }
        self.session.one(&row)
    }

    fn path(&self, key: &str) -> Result<String, Failed> {
        Ok(format!("{}/{}", self.collection(), segment(&self.id(key)?)))
    }

    /// The id of a key that is named by it or by its lookup id.
    fn id(&self, key: &str) -> Result<String, Failed> {
        if key.len() != LOOKUP_ID {
            return Ok(key.to_owned());
        }
        let named = [("lookup_id", Some(key.to_owned()))];
        let found = self.session.client.list(self.collection(), &named, 1)?;
        let id = found.first().and_then(|key| key["id"].as_str());
        let unknown = || Failed::new(Exit::NotFound, format!("error: there is no key {key}"));
        id.map(str::to_owned).ok_or_else(unknown)
    }
}

/// The key comes on stdin: in a flag or the environment others could see it.
fn verify(session: &Session) -> Result<Exit, Failed> {
    let mut key = Zeroizing::new(String::new());
    std::io::stdin()
        .take(MAX_KEY)
        .read_to_string(&mut key)
        .map_err(|error| Failed::new(Exit::Usage, format!("error: no key on stdin: {error}")))?;
    let answer = session.client.post(&format!("{ALL}/verify"), json!({ "api_key": key.trim() }))?;
    session.one(&answer)?;
    Ok(if answer["valid"] == true { Exit::Ok } else { Exit::Denied })
}

fn is_zero(overlap: &str) -> bool {
    overlap.trim_end_matches(char::is_alphabetic).parse() == Ok(0u64)
}
