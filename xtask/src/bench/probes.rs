//! What a goroutine costs that is born and gone: without probes, with ours, with bpftrace's.

use anyhow::{Result, ensure};
use goroscope_tests::{agent::Agent, requires, speaker::Speaker};
use rustix::process::Signal;
use serde_json::Value;

use super::{bpftrace::Bpftrace, median::median, program};

/// Rounds; in each, every way takes its turn.
const ROUNDS: u32 = 9;
/// Goroutines in a turn.
const GOROUTINES: u64 = 200_000;

/// Measures, and gives the section.
pub(super) fn measure() -> Result<String> {
    let path = program("pairs")?;
    let mut target = Speaker::start(&path, &[] as &[&str])?;
    let pid = target.pid();
    let bpftrace = requires::command("bpftrace");
    let (mut without, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    // The first turn warms the target up.
    turn(&mut target)?;
    for round in 1..=ROUNDS {
        without.push(turn(&mut target)?);

        let agent = Agent::start(&["--pid", &pid.to_string(), "--probes", "always"])?;
        agent.wait_probed(pid)?;
        let labels = pid.to_string();
        let labels = [("pid", labels.as_str())];
        let hits = || agent.scrape()?.count("goroscope_probe_hits_total", &labels);
        let before = hits()?;
        ours.push(turn(&mut target)?);
        let counted = hits()? - before;
        // A birth and an end each.
        let expected = 2 * GOROUTINES;
        ensure!(counted == expected, "the agent counted {counted} of {expected} hits");
        agent.end(Signal::TERM)?;

        if bpftrace.is_ok() {
            let tracer = Bpftrace::start(&path, pid)?;
            theirs.push(turn(&mut target)?);
            tracer.end(GOROUTINES)?;
        }
        println!("bench probes: round {round} of {ROUNDS}");
    }
    target.quit()?;
    Ok(section(&without, &ours, &theirs, bpftrace.err().as_deref()))
}

/// Nanoseconds for each goroutine.
fn turn(target: &mut Speaker) -> Result<f64> {
    target.say(&GOROUTINES.to_string())?;
    let answer: Value = target.hear()?;
    let nanoseconds = answer.get("nanoseconds").and_then(Value::as_f64).unwrap_or(0.0);
    ensure!(nanoseconds > 0.0, "the program says {answer}");
    Ok(nanoseconds)
}

fn section(without: &[f64], ours: &[f64], theirs: &[f64], missing: Option<&str>) -> String {
    let base = median(without);
    let mut text = format!(
        "### A goroutine born and gone\n\n\
         Medians of {ROUNDS} interleaved rounds of {GOROUTINES} goroutines each, on one P.\n\n\
         | | ns per goroutine | added |\n|---|---:|---:|\n| no probe | {base:.0} | |\n"
    );
    let added = |values: &[f64]| median(values) - base;
    text.push_str(&format!(
        "| goroscope: `newproc1` and `gdestroy`, behind the prologue | {:.0} | {:.0} |\n",
        median(ours),
        added(ours)
    ));
    match missing {
        None => text.push_str(&format!(
            "| bpftrace: entries of `newproc` and `goexit1` | {:.0} | {:.0} |\n\n\
             goroscope's probes add {:.1} times less than bpftrace's.\n",
            median(theirs),
            added(theirs),
            added(theirs) / added(ours)
        )),
        Some(reason) => text.push_str(&format!("\nbpftrace is left out: {reason}.\n")),
    }
    text
}
