use super::client::query;
use super::show::Column;
use super::{Paging, Session, users};
use crate::cli::exit::{Exit, Failed};

const PATH: &str = "/api/v1/admin/logs";

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Kind {
    /// Who changed what
    Audit,
    /// What an operator should know
    Security,
    /// One line per request
    Usage,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Audit => "audit",
            Kind::Security => "security",
            Kind::Usage => "usage",
        }
    }

    /// The parameter that says who did it.
    fn by(self) -> &'static str {
        match self {
            Kind::Audit => "actor_user_id",
            Kind::Security | Kind::Usage => "user_id",
        }
    }

    fn columns(self) -> &'static [Column] {
        match self {
            Kind::Audit => &[
                ("SEQ", "seq"),
                ("AT", "at"),
                ("ACTION", "action"),
                ("SUBJECT", "subject_kind"),
                ("ID", "subject_id"),
                ("BY USER", "actor_user_id"),
                ("FROM", "actor_ip"),
            ],
            Kind::Security => &[
                ("SEQ", "seq"),
                ("AT", "at"),
                ("EVENT", "kind"),
                ("USER", "user_id"),
                ("KEY", "key_id"),
                ("SOURCE", "source"),
                ("SUMMARY", "summary"),
            ],
            Kind::Usage => &[
                ("AT", "at"),
                ("METHOD", "method"),
                ("PATH", "path"),
                ("STATUS", "status"),
                ("OUTCOME", "outcome"),
                ("KEY", "key_id"),
                ("FROM", "client_ip"),
            ],
        }
    }
}

#[derive(clap::Subcommand)]
pub enum Action {
    /// The newest first
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        paging: Paging,
    },
    /// The whole log, the oldest first, on stdout
    Export {
        #[arg(long, value_enum)]
        format: Format,
        #[command(flatten)]
        filter: Filter,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Format {
    Csv,
    Ndjson,
}

impl Format {
    pub(super) fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Ndjson => "ndjson",
        }
    }
}

#[derive(clap::Args)]
pub struct Filter {
    #[arg(long, value_enum, default_value_t = Kind::Audit)]
    kind: Kind,
    /// The user who did it, by id or email
    #[arg(long, value_name = "USER")]
    by: Option<String>,
    /// e.g. 2030-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The name of a change, e.g. revoke_key (audit)
    #[arg(long)]
    action: Option<String>,
    /// key, user, role or permission (audit)
    #[arg(long, value_name = "KIND")]
    subject_kind: Option<String>,
    /// (audit)
    #[arg(long, value_name = "ID")]
    subject_id: Option<String>,
}

impl Filter {
    fn parameters(self, session: &Session) -> Result<Vec<(&'static str, Option<String>)>, Failed> {
        let by = self.by.map(|user| users::id(session, &user)).transpose()?;
        Ok(vec![
            ("kind", Some(self.kind.name().to_owned())),
            (self.kind.by(), by),
            ("from", self.from),
            ("to", self.to),
            ("action", self.action),
            ("subject_kind", self.subject_kind),
            ("subject_id", self.subject_id),
        ])
    }
}

pub(super) fn run(session: &Session, action: Action) -> Result<Exit, Failed> {
    match action {
        Action::List { filter, paging } => {
            let columns = filter.kind.columns();
            let filters = filter.parameters(session)?;
            session.rows(session.client.list(PATH, &filters, paging.limit)?, columns)
        }
        Action::Export { format, filter } => {
            let mut parameters = filter.parameters(session)?;
            parameters.push(("format", Some(format.name().to_owned())));
            let path = format!("{PATH}/export?{}", query(parameters.iter()));
            session.client.download(&path, &mut std::io::stdout().lock())?;
            Ok(Exit::Ok)
        }
    }
}
