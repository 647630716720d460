use std::fmt::Write;

use super::exit::{Exit, Failed};
use super::{complain, print};
use crate::config::Config;
use crate::store::migrate;

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Action {
    /// Apply what is pending
    Up,
    /// Show what is applied; exit code 6 when something is pending
    Status,
    /// Undo the newest
    Down,
}

pub fn run(config: &Config, action: Action) -> Result<Exit, Failed> {
    let runtime = super::runtime()?;
    let url = &config.store.url;
    match action {
        Action::Up => {
            let applied = runtime.block_on(migrate::up(url))?;
            if applied.is_empty() {
                complain("nothing is pending");
            }
            print(lines(applied.iter().map(|name| format!("applied {name}"))).as_bytes())
        }
        Action::Status => {
            let all = runtime.block_on(migrate::status(url))?;
            let pending = all.iter().any(|migration| migration.applied_at.is_none());
            let shown = lines(all.iter().map(|migration| match migration.applied_at {
                Some(at) => format!("{}  applied {at}", migration.name),
                None => format!("{}  pending", migration.name),
            }));
            print(shown.as_bytes())?;
            Ok(if pending { Exit::MigrationsPending } else { Exit::Ok })
        }
        Action::Down => match runtime.block_on(migrate::down(url))? {
            Some(name) => print(format!("undone {name}\n").as_bytes()),
            None => {
                complain("nothing is applied");
                Ok(Exit::Ok)
            }
        },
    }
}

fn lines(all: impl Iterator<Item = String>) -> String {
    all.fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    })
}
