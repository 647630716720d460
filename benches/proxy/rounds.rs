//! The alternation: bare, Gatepost, bare, Gatepost …, so that what disturbs the machine disturbs
//! both.

use std::time::Duration;

use crate::Error;
use crate::process::CpuTime;
use crate::report::{Spread, line};
use crate::stand::{Kind, Proxy, Stand, Under};
use crate::wrk::{Answered, Wrk};

const WARM_UP_SECONDS: u32 = 2;

pub struct Load {
    pub seconds: u32,
    pub connections: u32,
}

/// What one run of one proxy came to.
struct Run {
    full: Answered,
    /// One request at a time: nothing queues, so that this is what the proxy adds.
    single: Answered,
    cpu: CpuTime,
    resident: u64,
}

struct Pair {
    bare: Run,
    gatepost: Run,
}

pub fn compare(stand: &Stand, pairs: u32, load: &Load) -> Result<(), Error> {
    let wrk = Wrk::new(stand.dir(), stand.key(), stand.other_cpus())?;
    let bare = stand.proxy(Kind::Bare, &Under::Cpu)?;
    let gatepost = stand.proxy(Kind::Gatepost, &Under::Cpu)?;
    for proxy in [&bare, &gatepost] {
        wrk.run(proxy.addr, load.connections, WARM_UP_SECONDS)?;
    }
    line(&format!(
        "{} connections for {} s, then one connection for {} s; p50, p99 and CPU in µs\n",
        load.connections,
        load.seconds,
        load.single_seconds()
    ))?;
    line(HEADING)?;
    let mut done = Vec::new();
    for number in 1..=pairs {
        let pair = Pair { bare: run(&wrk, &bare, load)?, gatepost: run(&wrk, &gatepost, load)? };
        line(&pair.bare.row(number, Kind::Bare))?;
        line(&pair.gatepost.row(number, Kind::Gatepost))?;
        done.push(pair);
    }
    line("")?;
    summarise(&done)
}

impl Load {
    fn single_seconds(&self) -> u32 {
        self.seconds.div_ceil(2)
    }
}

fn run(wrk: &Wrk, proxy: &Proxy, load: &Load) -> Result<Run, Error> {
    let before = proxy.process.cpu_time()?;
    let full = wrk.run(proxy.addr, load.connections, load.seconds)?;
    let cpu = proxy.process.cpu_time()?.since(before);
    let resident = proxy.process.resident()?;
    let single = wrk.run(proxy.addr, 1, load.single_seconds())?;
    Ok(Run { full, single, cpu, resident })
}

const HEADING: &str = "\
pair  proxy      requests/s     p50     p99   CPU/request  (serving + beside)   RSS MiB   alone: p50   p99";

impl Run {
    fn per_second(&self) -> f64 {
        self.full.requests as f64 / self.full.took.as_secs_f64()
    }

    /// Microseconds of CPU time for one request.
    fn cpu(&self, part: Duration) -> f64 {
        micros(part) / self.full.requests as f64
    }

    fn row(&self, pair: u32, kind: Kind) -> String {
        format!(
            "{pair:>4}  {:<9} {:>11.0} {:>7.0} {:>7.0} {:>13.2}  ({:>7.2} + {:>6.2})  {:>9.1} {:>12.0} {:>5.0}",
            kind.name(),
            self.per_second(),
            micros(self.full.p50),
            micros(self.full.p99),
            self.cpu(self.cpu.total()),
            self.cpu(self.cpu.serving),
            self.cpu(self.cpu.beside),
            self.resident as f64 / f64::from(1 << 20),
            micros(self.single.p50),
            micros(self.single.p99),
        )
    }
}

/// Medians of both, and of what is compared pair by pair, with the least and the greatest.
fn summarise(pairs: &[Pair]) -> Result<(), Error> {
    type Measure = fn(&Run) -> f64;
    let ratios: [(&str, Measure, usize); 5] = [
        ("CPU µs/request", |run| run.cpu(run.cpu.total()), 2),
        ("  of it serving", |run| run.cpu(run.cpu.serving), 2),
        ("requests/s", Run::per_second, 0),
        ("p50 µs", |run| micros(run.full.p50), 0),
        ("p99 µs", |run| micros(run.full.p99), 0),
    ];
    line(
        "median (least–greatest)   bare                       gatepost                   gatepost : bare",
    )?;
    for (name, measure, decimals) in ratios {
        let compared = pairs.iter().map(|pair| measure(&pair.gatepost) / measure(&pair.bare));
        row(name, pairs, measure, decimals, &spread(compared, 3))?;
    }
    let alone: [(&str, Measure); 2] = [
        ("p50 µs, one connection", |run| micros(run.single.p50)),
        ("p99 µs, one connection", |run| micros(run.single.p99)),
    ];
    for (name, measure) in alone {
        let added = pairs.iter().map(|pair| measure(&pair.gatepost) - measure(&pair.bare));
        row(name, pairs, measure, 0, &format!("added: {}", spread(added, 0)))?;
    }
    Ok(())
}

fn row(
    name: &str,
    pairs: &[Pair],
    measure: fn(&Run) -> f64,
    decimals: usize,
    compared: &str,
) -> Result<(), Error> {
    let bare = spread(pairs.iter().map(|pair| measure(&pair.bare)), decimals);
    let gatepost = spread(pairs.iter().map(|pair| measure(&pair.gatepost)), decimals);
    line(&format!("{name:<25} {bare:<26} {gatepost:<26} {compared}"))
}

fn spread(values: impl Iterator<Item = f64>, decimals: usize) -> String {
    Spread::of(values).map(|spread| spread.show(decimals)).unwrap_or_default()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
