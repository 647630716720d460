use serde_json::Value;

use super::client::query;
use super::logs::Format;
use super::show::{Column, Output};
use super::{Session, users};
use crate::cli::exit::{Exit, Failed};
use crate::cli::print;

const OWN: &str = "/api/v1/usage";
const ALL: &str = "/api/v1/admin/analytics";

const COUNTS: [Column; 7] = [
    ("REQUESTS", "requests"),
    ("ERRORS", "errors"),
    ("BYTES IN", "request_bytes"),
    ("BYTES OUT", "response_bytes"),
    ("P50 \u{b5}s", "p50"),
    ("P90 \u{b5}s", "p90"),
    ("P99 \u{b5}s", "p99"),
];

const LIMITS: [Column; 5] = [
    ("LIMIT", "limit"),
    ("COUNT", "count"),
    ("IN SECONDS", "window_seconds"),
    ("LEFT", "remaining"),
    ("ALL AGAIN IN", "reset_seconds"),
];

#[derive(clap::Subcommand)]
pub enum Action {
    /// What your own keys were used for
    Own {
        #[command(flatten)]
        question: Question,
        /// Tell apart by this
        #[arg(long, value_enum)]
        by: Option<Dimension>,
    },
    /// What everybody's keys were used for
    All {
        #[command(flatten)]
        question: Question,
        /// Tell apart by this
        #[arg(long, value_enum)]
        by: Option<Dimension>,
        /// Of this user alone, by id or email
        #[arg(long)]
        user: Option<String>,
    },
    /// The counts by the minute of everybody, on stdout
    Export {
        #[arg(long, value_enum)]
        format: Format,
        #[command(flatten)]
        range: Range,
        /// Of this user alone, by id or email
        #[arg(long)]
        user: Option<String>,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Dimension {
    /// (not of one's own)
    User,
    Key,
    Route,
    Outcome,
}

impl Dimension {
    /// The heading of its column, and its name.
    fn column(self) -> Column {
        match self {
            Dimension::User => ("USER", "user"),
            Dimension::Key => ("KEY", "key"),
            Dimension::Route => ("ROUTE", "route"),
            Dimension::Outcome => ("OUTCOME", "outcome"),
        }
    }
}

/// Without any words: one's own, of the last day.
impl Default for Action {
    fn default() -> Self {
        Action::Own { question: Question::default(), by: None }
    }
}

#[derive(clap::Args, Default)]
pub struct Range {
    /// e.g. 2030-01-31T12:00:00Z; a day ago unless given
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Now unless given
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

#[derive(clap::Args, Default)]
pub struct Question {
    #[command(flatten)]
    range: Range,
    /// Count by steps of this length, e.g. 1h
    #[arg(long, value_name = "DURATION")]
    step: Option<String>,
    /// Of this route alone
    #[arg(long)]
    route: Option<String>,
    /// With this outcome alone, e.g. allow or rate_limited
    #[arg(long, value_name = "CODE")]
    outcome: Option<String>,
}

type Parameters = Vec<(&'static str, Option<String>)>;

impl Range {
    fn parameters(self) -> Parameters {
        vec![("from", self.from), ("to", self.to)]
    }
}

impl Question {
    fn parameters(self, by: Option<Dimension>) -> Parameters {
        let mut parameters = self.range.parameters();
        parameters.extend([
            ("step", self.step),
            ("route", self.route),
            ("outcome", self.outcome),
            ("by", by.map(|by| by.column().1.to_owned())),
        ]);
        parameters
    }
}

pub(super) fn run(session: &Session, action: Action) -> Result<Exit, Failed> {
    match action {
        Action::Own { question, by } => show(session, OWN, &question.parameters(by), by),
        Action::All { question, by, user } => {
            let mut parameters = question.parameters(by);
            parameters.push(("user_id", user_id(session, user)?));
            show(session, ALL, &parameters, by)
        }
        Action::Export { format, range, user } => {
            let mut parameters = range.parameters();
            parameters.push(("user_id", user_id(session, user)?));
            parameters.push(("format", Some(format.name().to_owned())));
            let path = format!("{ALL}/export?{}", query(parameters.iter()));
            session.client.download(&path, &mut std::io::stdout().lock())?;
            Ok(Exit::Ok)
        }
    }
}

fn user_id(session: &Session, user: Option<String>) -> Result<Option<String>, Failed> {
    user.map(|user| users::id(session, &user)).transpose()
}

/// For scripts what the API answered; for people what they asked for row by row, or the totals
/// where they asked for no rows, and then their limits.
fn show(
    session: &Session,
    path: &str,
    parameters: &Parameters,
    by: Option<Dimension>,
) -> Result<Exit, Failed> {
    let mut answer = session.client.get(&format!("{path}?{}", query(parameters.iter())))?;
    if session.output == Output::Json {
        return session.one(&answer);
    }
    let mut tables = Vec::new();
    if let Value::Array(points) = answer["series"].take() {
        tables.push(counted(Some(("AT", "at")), points));
    }
    if let (Value::Array(groups), Some(by)) = (answer["groups"].take(), by) {
        tables.push(counted(Some(by.column()), groups));
    }
    if tables.is_empty() {
        tables.push(counted(None, vec![answer["totals"].take()]));
    }
    if let Value::Array(limits) = answer["limits"].take()
        && !limits.is_empty()
    {
        tables.push((LIMITS.to_vec(), limits));
    }
    for (number, (columns, rows)) in tables.into_iter().enumerate() {
        if number > 0 {
            print(b"\n")?;
        }
        session.rows(rows, &columns)?;
    }
    Ok(Exit::Ok)
}

fn counted(first: Option<Column>, rows: Vec<Value>) -> (Vec<Column>, Vec<Value>) {
    let columns = first.into_iter().chain(COUNTS).collect();
    (columns, rows.into_iter().map(with_latencies).collect())
}

/// The percentiles among the other columns.
fn with_latencies(mut row: Value) -> Value {
    for name in ["p50", "p90", "p99"] {
        row[name] = row["latency_us"][name].take();
    }
    row
}
