//! What it costs to be ready to read processes of a binary, as one object of JSON: `cargo xtask
//! bench inspect` runs it, in a process of its own each time.
//!
//! ```text
//! cargo run --release --example inspect -- [FILE]
//! ```
//!
//! Without a file it does nothing: its peak of memory is then that of an empty process.

use std::{env, fs, fs::File, time::Instant};

use anyhow::{Context as _, Result};
use goroscope::{
    inspect::{Binary, address::FileAddress, inspect},
    read::RuntimeFacts,
};
use serde_json::json;

/// Places that are named: as many sites as a large program has.
const PLACES: u64 = 300;

fn main() -> Result<()> {
    let Some(path) = env::args_os().nth(1) else {
        println!("{}", json!({ "peak_bytes": peak()? }));
        return Ok(());
    };
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    let size = file.metadata()?.len();
    let started = Instant::now();
    let binary = inspect(file)?;
    let inspected = started.elapsed().as_secs_f64();
    let facts = RuntimeFacts::of(&binary);
    let found = started.elapsed().as_secs_f64();
    let named = name(&binary)?;
    let ready = started.elapsed().as_secs_f64();
    println!(
        "{}",
        json!({
            "go": binary.facts.go_version, "bytes": size,
            "stripped": binary.facts.stripped, "dwarf": binary.facts.dwarf,
            "facts": facts.as_ref().map(|facts| format!("{:?}", facts.origin))
                .map_err(ToString::to_string),
            "named": named,
            "seconds": {
                "inspect": inspected, "facts": found - inspected, "names": ready - found,
                "ready": ready,
            },
            "peak_bytes": peak()?,
        })
    );
    Ok(())
}

/// Names places that are spread evenly over the code, from the runtime's to that of the package
/// `main`, which comes last; gives how many have a name and a line.
fn name(binary: &Binary) -> Result<usize> {
    let [main] = binary.code(["main.main"])?;
    let begin = binary.probe_points.as_ref().map_err(Clone::clone)?.birth.address.0;
    let end = main.context("no main.main")?.entry.0;
    let step = (end.saturating_sub(begin) / PLACES).max(1);
    let places = (0..PLACES).map(|number| FileAddress(begin + number * step));
    Ok(places
        .filter(|at| binary.symbols.created_by(*at).is_some_and(|place| place.line > 0))
        .count())
}

/// The most memory that was resident at once, in bytes.
fn peak() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}
