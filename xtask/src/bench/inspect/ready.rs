//! Time and memory until processes of a binary can be read and their sites named.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use super::{
    super::{
        example,
        figures::goal,
        median::{median, spread},
    },
    binaries,
};

/// Seconds and bytes.
const TIME_GOAL: f64 = 0.1;
const MEMORY_GOAL: f64 = 32.0 * MIB;
const MIB: f64 = 1_048_576.0;

pub(super) fn measure(rounds: u32) -> Result<String> {
    let example = example::build("inspect")?;
    let (programs, missing) = binaries::all()?;
    let empty = example::number(&example::run(&example, [] as [&str; 0])?, "/peak_bytes")?;
    let mut text = format!(
        "### Ready to read a binary\n\n\
         From an opened file to the places of the probes, the runtime's variables and layout, and \
         the names and lines of 300 places all over the code. {rounds} times each, in a new \
         process; memory is the peak of that, less the {:.1} MiB of a process that does nothing. \
         Medians; lowest and highest in brackets.\n\n\
         | program | built by | file | time | memory |\n|---|---|---:|---:|---:|\n",
        empty / MIB
    );
    let (mut slowest, mut largest) = (0.0_f64, 0.0_f64);
    for program in &programs {
        let (mut times, mut peaks, mut last) = (Vec::new(), Vec::new(), Value::Null);
        for _ in 0..rounds {
            last = run(&example, &program.path)?;
            times.push(example::number(&last, "/seconds/ready")?);
            peaks.push(example::number(&last, "/peak_bytes")? - empty);
        }
        let (lowest, highest) = spread(&times);
        slowest = slowest.max(median(&times));
        largest = largest.max(median(&peaks));
        text.push_str(&format!(
            "| {}{} | {} | {:.1} MB | {:.0} ms ({:.0} – {:.0}) | {:.1} MiB |\n",
            program.name,
            if last.get("stripped") == Some(&Value::Bool(true)) { ", stripped" } else { "" },
            last.get("go").and_then(Value::as_str).unwrap_or("?"),
            example::number(&last, "/bytes")? / 1e6,
            median(&times) * 1e3,
            lowest * 1e3,
            highest * 1e3,
            median(&peaks) / MIB,
        ));
        println!("bench inspect: {}", program.name);
    }
    for missing in missing {
        text.push_str(&format!("\nLeft out: {missing}.\n"));
    }
    text.push_str(&format!(
        "\n{} {}\n",
        goal("at most 100 ms", slowest <= TIME_GOAL),
        goal("at most 32 MiB", largest <= MEMORY_GOAL)
    ));
    Ok(text)
}

fn run(example: &PathBuf, program: &PathBuf) -> Result<Value> {
    let report = example::run(example, [program])?;
    let facts = report.pointer("/facts/Err");
    anyhow::ensure!(facts.is_none(), "{} cannot be read: {report}", program.display());
    Ok(report)
}
