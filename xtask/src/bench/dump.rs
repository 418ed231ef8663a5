//! What a dump of very many goroutines takes, and how long the program's requests stall meanwhile.

mod requests;
mod way;

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use goroscope_tests::speaker::Speaker;
use serde_json::Value;
use tempfile::TempDir;

use self::way::{Taken, Way};
use super::{
    figures::{goal, grouped, mebibytes},
    median::{median, spread},
    program,
};

/// Goroutines of the program.
const GOROUTINES: u32 = 100_000;
const ROUNDS: u32 = 9;
/// A request may take so much longer than beside any busy program: a turn of the kernel's scheduler.
const NO_STALL_MILLISECONDS: f64 = 5.0;

/// A program that can be asked over HTTP.
struct Target {
    speaker: Speaker,
    address: SocketAddr,
}

impl Target {
    fn start() -> Result<Self> {
        let speaker = Speaker::start(&program("pinged")?, &[GOROUTINES.to_string()])?;
        let says: Value = speaker.hear()?;
        let address = says.get("address").and_then(Value::as_str);
        let address = address.with_context(|| format!("the program says {says}"))?.parse()?;
        Ok(Self { speaker, address })
    }
}

/// Measures, and gives the section.
pub(super) fn measure() -> Result<String> {
    let target = Target::start()?;
    let folder = TempDir::new().context("making a folder for dumps")?;
    let mut taken: Vec<(Way, Vec<Taken>)> = Way::ALL.map(|way| (way, Vec::new())).into();
    for round in 0..ROUNDS {
        for (way, all) in &mut taken {
            all.push(way.take(&target, folder.path())?);
        }
        println!("bench dump: round {} of {ROUNDS}", round + 1);
    }
    target.speaker.quit()?;
    Ok(section(&taken))
}

fn section(taken: &[(Way, Vec<Taken>)]) -> String {
    let mut text = format!(
        "### A dump of {} goroutines\n\n\
         A program in which they wait, some calls deep, and that answers HTTP requests: the next is \
         sent, over one connection that is kept open, once the answer to the last has come. Medians \
         of {ROUNDS} interleaved rounds; lowest and highest in brackets. How long the longest \
         request took is what the program's clients feel of a dump. A dump from outside keeps a core \
         busy that is not the program's; so does the busy loop of the second row, and no more than \
         that may be felt.\n\n\
         | meanwhile | time | written | the longest request | requests per second |\n\
         |---|---:|---:|---:|---:|\n",
        grouped(GOROUTINES.into())
    );
    for (way, all) in taken {
        let of = |figure: fn(&Taken) -> f64| all.iter().map(figure).collect::<Vec<_>>();
        let written = match way.is_dump() {
            true => format!("{:.1} MiB", median(&of(|taken| mebibytes(taken.bytes)))),
            false => String::new(),
        };
        text.push_str(&format!(
            "| {} | {} | {written} | {} | {} |\n",
            way.name(),
            milliseconds(&of(|taken| taken.seconds)),
            milliseconds(&of(|taken| taken.waits.longest)),
            grouped(median(&of(|taken| taken.waits.per_second))),
        ));
    }
    let longest = |wanted: Way| {
        let all = taken.iter().find(|(way, _)| *way == wanted).map(|(_, all)| all.as_slice());
        let all: Vec<f64> = all.unwrap_or_default().iter().map(|t| t.waits.longest).collect();
        median(&all) * 1e3
    };
    let (ours, busy) = (longest(Way::Ours), longest(Way::Busy));
    let words = format!(
        "the longest request takes at most {NO_STALL_MILLISECONDS:.0} ms more than beside a busy \
         loop (it takes {:.1} ms more)",
        ours - busy
    );
    text.push_str(&format!("\n{}\n", goal(&words, ours <= busy + NO_STALL_MILLISECONDS)));
    text
}

fn milliseconds(seconds: &[f64]) -> String {
    let (lowest, highest) = spread(seconds);
    format!("{:.1} ms ({:.1} – {:.1})", median(seconds) * 1e3, lowest * 1e3, highest * 1e3)
}
