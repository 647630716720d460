use std::io::{BufRead, IsTerminal, Write};

use super::Session;
use crate::cli::exit::{Exit, Failed};

impl Session {
    /// Asks on a terminal before `question` is done; elsewhere only `--yes` will do, since nobody
    /// is there to answer.
    pub(super) fn confirm(&self, question: &str) -> Result<(), Failed> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            let hint = "say --yes: nobody is here to be asked";
            return Err(Failed::new(Exit::Usage, format!("error: {question}?\n  hint: {hint}")));
        }
        let mut stderr = std::io::stderr();
        let asked = write!(stderr, "{question}? [y/N] ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer).map(drop))?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failed::new(Exit::Failure, "nothing was changed")),
        }
    }
}
