//! One look at the goroutines of a program, against the bare reading of the same memory.

use anyhow::Result;
use goroscope_tests::speaker::Speaker;

use super::{
    super::{
        example,
        figures::{goal, grouped},
        median::{median, spread},
    },
    MANY, USUAL, parked,
};

/// How much longer than bare reads a scan may take.
const SCAN_GOAL: f64 = 2.0;
/// How long cheap counts may take, in seconds.
const COUNTS_GOAL: f64 = 200e-6;

pub(super) fn measure(many: &Speaker, rounds: u32) -> Result<String> {
    let example = example::build("read")?;
    let usual = parked(USUAL)?;
    let mut text = format!(
        "### A look at all goroutines\n\n\
         {rounds} rounds, in which scans and bare reads take turns: `process_vm_readv` of the \
         ranges that the scan reads, with as many calls, and nothing done with the bytes. Cheap \
         counts are the numbers of goroutines alive, born and gone, without a look at each. \
         Medians; lowest and highest in brackets.\n\n\
         | goroutines | scan | bare reads | scan by bare reads | read | cheap counts |\n\
         |---:|---:|---:|---:|---:|---:|\n"
    );
    let mut goals = Vec::new();
    for (goroutines, target) in [(USUAL, &usual), (MANY, many)] {
        let report = example::run(&example, [target.pid().to_string(), rounds.to_string()])?;
        let scans = example::numbers(&report, "/seconds/scans")?;
        let bare = example::numbers(&report, "/seconds/bare")?;
        let counts = example::numbers(&report, "/seconds/counts")?;
        let ratio = median(&scans) / median(&bare);
        text.push_str(&format!(
            "| {} | {} | {} | {ratio:.2} | {:.1} MB in {} ranges | {} |\n",
            grouped(example::number(&report, "/live")?),
            milliseconds(&scans),
            milliseconds(&bare),
            example::number(&report, "/bytes")? / 1e6,
            grouped(example::number(&report, "/ranges")?),
            microseconds(&counts),
        ));
        if goroutines == MANY {
            goals.push(goal(
                &format!("a scan of {} takes at most twice as long", grouped(MANY.into())),
                ratio <= SCAN_GOAL,
            ));
            goals.push(goal("cheap counts within 200 µs", median(&counts) <= COUNTS_GOAL));
        }
        println!("bench scan: {goroutines} goroutines looked at");
    }
    usual.quit()?;
    text.push_str(&format!("\n{}\n", goals.join(" ")));
    Ok(text)
}

fn milliseconds(seconds: &[f64]) -> String {
    let (lowest, highest) = spread(seconds);
    let [median, lowest, highest] = [median(seconds), lowest, highest].map(|value| value * 1e3);
    format!("{median:.2} ms ({lowest:.2} – {highest:.2})")
}

fn microseconds(seconds: &[f64]) -> String {
    let (lowest, highest) = spread(seconds);
    let [median, lowest, highest] = [median(seconds), lowest, highest].map(|value| value * 1e6);
    format!("{median:.0} µs ({lowest:.0} – {highest:.0})")
}
