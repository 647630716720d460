//! Gatepost against bare Pingora: the same traffic, the same upstream, in alternation.
//!
//! `cargo bench --bench proxy` measures requests per second, latency and CPU time;
//! `cargo bench --bench proxy -- --callgrind` counts instructions, `-- --flood` floods Gatepost with
//! strangers' keys. The driver starts itself again as the upstream and as the bare proxy; Gatepost
//! is the real release binary.

#[path = "../../tests/it/support/postgres/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod postgres;

mod bare;
mod callgrind;
mod client;
mod flood;
mod process;
mod report;
mod rounds;
mod stand;
mod upstream;
mod wrk;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;

/// What Gatepost is built with, so that the bare proxy has no worse one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Error = Box<dyn std::error::Error>;

#[derive(Parser)]
struct Args {
    /// Pairs of runs: bare, Gatepost, bare, Gatepost …
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: u32,
    /// Seconds of full load in each run; latency on one connection takes half as long again
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Connections at full load
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    connections: u32,
    /// Count user-space instructions per request under valgrind instead
    #[arg(long)]
    callgrind: bool,
    /// Requests of the shorter run under valgrind; the longer has twice as many
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    requests: u32,
    /// Give Gatepost a store in Postgres, on the other CPUs, instead of SQLite
    #[arg(long)]
    postgres: bool,
    /// Measure good traffic beside a flood of keys that are nobody's instead
    #[arg(long, conflicts_with = "callgrind")]
    flood: bool,
    /// Keep configuration, database and callgrind's files, and say where
    #[arg(long)]
    keep: bool,
    /// Be one of the driver's children
    #[arg(long, hide = true)]
    role: Option<Role>,
    #[arg(long, hide = true)]
    listen: Option<SocketAddr>,
    #[arg(long, hide = true)]
    forward: Option<SocketAddr>,
    /// What `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Role {
    Upstream,
    Bare,
}

fn main() -> ExitCode {
    // `cargo test --all-targets` starts benches too, without this argument.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Error> {
    match (args.role, args.listen, args.forward) {
        (Some(Role::Upstream), Some(listen), _) => return upstream::serve(listen),
        (Some(Role::Bare), Some(listen), Some(forward)) => return bare::serve(listen, forward),
        (Some(_), ..) => return Err("a role needs its addresses".into()),
        (None, ..) => {}
    }
    let stand = stand::Stand::start(args.postgres, args.keep)?;
    let load = rounds::Load { seconds: args.seconds, connections: args.connections };
    if args.callgrind {
        callgrind::compare(&stand, args.requests)
    } else if args.flood {
        flood::measure(&stand, &load)
    } else {
        rounds::compare(&stand, args.pairs, &load)
    }
}
