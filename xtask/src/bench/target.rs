//! What is left of a program's throughput while it is watched.

mod table;
mod watcher;
mod workload;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use goroscope_tests::requires;

use self::{
    table::Table,
    watcher::{Seen, Setting, Watcher},
    workload::{Turn, Workload},
};

/// How long to measure.
#[derive(Args, Clone, Copy, PartialEq, Eq)]
pub(super) struct Options {
    /// Rounds; in each, every way of watching takes its turn
    #[arg(long, default_value_t = Self::DEFAULT.rounds, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Length of a turn, in seconds
    #[arg(long, default_value_t = Self::DEFAULT.seconds, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Seconds before each turn, under the same load, in which the watcher finds its pace
    #[arg(long, default_value_t = Self::DEFAULT.settle, value_parser = clap::value_parser!(u64).range(1..))]
    settle: u64,
}

impl Options {
    pub(super) const DEFAULT: Self = Self { rounds: 9, seconds: 3, settle: 3 };
}

/// One turn of a program that is watched in some way.
pub(super) struct Sample {
    turn: Turn,
    seen: Option<Seen>,
}

/// Measures, and gives the section.
pub(super) fn measure(options: Options) -> Result<String> {
    let bpftrace = requires::command("bpftrace").err();
    let Options { rounds, seconds, settle } = options;
    let mut text = format!(
        "What each program does in a second, alone and watched, in {rounds} interleaved rounds \
         with turns of {seconds} s each, after {settle} s under the same load. The agent is \
         started anew for each turn, selects the program by `--exe`, and is scraped every {} s. \
         Shares are medians of the rounds' own; lowest and highest in brackets. The last column \
         is what the program does with a second of its own CPU time: it leaves out what others on \
         the machine took, and what the agent itself did on another core.\n",
        watcher::scrape_pause(Duration::from_secs(seconds)).as_secs_f64()
    );
    if let Some(reason) = &bpftrace {
        text.push_str(&format!("\nbpftrace is left out: {reason}.\n"));
    }
    let settings: Vec<Setting> = Setting::ALL
        .into_iter()
        .filter(|setting| bpftrace.is_none() || *setting != Setting::Bpftrace)
        .collect();
    for workload in Workload::ALL {
        let mut table = Table::new(workload);
        let mut running = workload.start()?;
        for round in 0..rounds {
            // Each round begins with another one, so that none is always the first or the last.
            for place in 0..settings.len() {
                let at = (place + usize::try_from(round)?) % settings.len();
                let Some(setting) = settings.get(at).copied() else { continue };
                let length = Duration::from_secs(seconds);
                let watcher = Watcher::start(setting, &running)?;
                let settled = running.turn(Duration::from_secs(settle))?;
                let (turn, seen) = watcher.during(length, || running.turn(length))?;
                watcher.end(settled.born + turn.born)?;
                table.add(round, setting, Sample { turn, seen });
            }
            println!("bench target: {workload}: round {} of {rounds}", round + 1);
        }
        running.quit()?;
        text.push_str(&format!("\n{}", table.section()));
    }
    Ok(text)
}
