use super::exit::{Exit, Failed};
use super::{complain, print, secret};
use crate::config::{Config, Environment};
use crate::server;
use crate::store::{
    AuditFilter, AuditRow, Break, ChainHead, ChainKeys, ChainMac, Order, PageRequest, Store,
};

#[derive(clap::Subcommand)]
pub enum Action {
    /// Walk the chain of the audit log; exit code 7 and the first bad row when it does not hold
    Verify {
        #[command(flatten)]
        file: super::ConfigFile,
        /// A head that the log told: it must be in the chain, or its end was cut off
        #[arg(long, value_name = "HASH")]
        head: Option<ChainMac>,
    },
}

/// As many as a page has at most.
const PAGE: usize = 200;

/// Prints the head on stdout when the chain holds.
pub fn verify(config: &Config, env: &Environment, head: Option<ChainMac>) -> Result<Exit, Failed> {
    let secrets = secret::keys(env, &config.store.url)?;
    let keys = ChainKeys::from(&secrets);
    let walked = super::runtime()?.block_on(async {
        let store = server::open_beside(&config.store, &secrets).await?;
        walk(&*store, &keys, head).await
    })?;
    match walked {
        Ok(Walked { older, head }) => {
            let rows = head.seq - older;
            complain(&format!("the audit chain holds: {rows} rows"));
            if older > 0 {
                complain(&format!("rows 1 to {older} are older than the chain"));
            }
            print(format!("{}\n", head.mac).as_bytes())
        }
        Err(fault) => {
            Err(Failed::new(Exit::Denied, format!("error: the audit chain does not hold: {fault}")))
        }
    }
}

struct Walked {
    /// The number of rows before the chain.
    older: u64,
    head: ChainHead,
}

async fn walk(
    store: &dyn Store,
    keys: &ChainKeys,
    wanted: Option<ChainMac>,
) -> Result<Result<Walked, Break>, Failed> {
    let origin = store.chain_origin().await?;
    let mut chain = keys.begin(&origin)?;
    let mut missing = wanted.filter(|wanted| *wanted != chain.head().mac);
    let mut after = Some(origin.after.to_string());
    while after.is_some() {
        let page = PageRequest { limit: PAGE, after };
        let page = store.audit(&AuditFilter::default(), Order::OldestFirst, &page).await?;
        for row in &page.rows {
            if let Err(fault) = chain.follow(row) {
                return Ok(Err(fault));
            }
            missing = missing.filter(|wanted| *wanted != row.mac && !was_head(row, *wanted));
        }
        after = page.next;
    }
    Ok(match missing {
        Some(head) => Err(Break::CutOff { head }),
        None => Ok(Walked { older: origin.after, head: chain.head() }),
    })
}

/// A rotation gives every row another MAC; it keeps the head that the log knew before.
fn was_head(row: &AuditRow, wanted: ChainMac) -> bool {
    row.entry.action == "rotate_secret"
        && row.entry.before.as_ref().is_some_and(|before| before.contains(&wanted.to_string()))
}
