//! What reading a process's runtime costs, as one object of JSON: `cargo xtask bench scan` runs it.
//!
//! ```text
//! cargo run --release --example read -- PID [ROUNDS]
//! ```
//!
//! Rounds take turns: some cheap counts, a scan of all goroutines, and a bare scan, in which the
//! same ranges of memory are read again with the same calls to the kernel and nothing is done with
//! them.

use std::{
    cell::RefCell,
    env,
    fs::{self, File},
    os::linux::fs::MetadataExt as _,
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, Result};
use goroscope::{
    discover::identity::Pid,
    inspect::{
        Mapping,
        address::{FileOffset, ProcessAddress},
        inspect,
    },
    read::{
        Groups, RuntimeFacts, RuntimeReader, ScanBuffer, State,
        memory::{Memory, MemoryError, Span},
        process_memory::ProcessMemory,
    },
};
use serde_json::json;

const ROUNDS: usize = 5;
const COUNTS_PER_ROUND: usize = 20;

/// Notes what is read while it is asked to.
struct Noting {
    memory: ProcessMemory,
    calls: RefCell<Option<Vec<Vec<Span>>>>,
}

impl Memory for Noting {
    fn read_many(&self, spans: &[Span], into: &mut [u8]) -> Result<(), MemoryError> {
        if let Some(calls) = self.calls.borrow_mut().as_mut() {
            calls.push(spans.to_vec());
        }
        self.memory.read_many(spans, into)
    }
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let pid = Pid(arguments.next().context("usage: read PID [ROUNDS]")?.parse()?);
    let rounds = arguments.next().map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let file = File::open(format!("/proc/{pid}/exe"))?;
    let inode = file.metadata()?.st_ino();
    let started = Instant::now();
    let binary = Arc::new(inspect(file)?);
    let inspected = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let facts = Arc::new(RuntimeFacts::of(&binary)?);
    let found = started.elapsed().as_secs_f64();
    let bias = binary.load_bias(mappings(pid, inode)?).context("no load bias")?;
    let names = Arc::clone(&binary);
    let names = Arc::new(move |at| names.function_at(at));
    let memory = Noting { memory: ProcessMemory::new(pid, "/proc")?, calls: RefCell::default() };
    let started = Instant::now();
    let mut reader = RuntimeReader::open(facts, memory, bias, names)?;
    let opened = started.elapsed().as_secs_f64();

    let mut buffer = ScanBuffer::default();
    let mut groups = Groups::default();
    let (mut counts, mut scans, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let (mut report, mut ranges, mut calls, mut bytes) = Default::default();
    for _ in 0..rounds {
        for _ in 0..COUNTS_PER_ROUND {
            let started = Instant::now();
            reader.counts()?;
            counts.push(started.elapsed().as_secs_f64());
        }
        // What this scan reads is what the bare one reads; noting it is not timed.
        *reader.memory().calls.borrow_mut() = Some(Vec::new());
        groups.clear();
        reader.scan(&mut buffer, &mut |goroutine| groups.add(goroutine))?;
        let noted = reader.memory().calls.borrow_mut().take().unwrap_or_default();
        groups.clear();
        let started = Instant::now();
        report = reader.scan(&mut buffer, &mut |goroutine| groups.add(goroutine))?;
        scans.push(started.elapsed().as_secs_f64());
        bare.push(read_again(&reader.memory().memory, &noted)?);
        calls = noted.len();
        ranges = noted.iter().map(Vec::len).sum::<usize>();
        bytes = noted.iter().flatten().map(|span| span.length).sum::<usize>();
    }
    let states: Vec<(&str, u64)> = groups.by_state().map(name_and_count).collect();
    println!(
        "{}",
        json!({
            "seconds": {
                "inspect": inspected, "facts": found, "open": opened,
                "counts": counts, "scans": scans, "bare": bare,
            },
            "counts": format!("{:?}", reader.counts()?),
            "live": report.live, "records": report.records, "torn": report.torn,
            "calls": calls, "ranges": ranges, "bytes": bytes,
            "states": states.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "missing": reader.missing().map(|(global, why)| format!("{}: {why}", global.symbol()))
                .collect::<Vec<_>>(),
        })
    );
    Ok(())
}

fn name_and_count((state, count): (State, u64)) -> (&'static str, u64) {
    (state.as_str(), count)
}

/// Seconds that the same reads take when nothing is done with the bytes.
fn read_again(memory: &ProcessMemory, calls: &[Vec<Span>]) -> Result<f64> {
    let length = |spans: &Vec<Span>| spans.iter().map(|span| span.length).sum::<usize>();
    let mut into = vec![0; calls.iter().map(length).max().unwrap_or(0)];
    let started = Instant::now();
    for spans in calls {
        let into = into.get_mut(..length(spans)).context("too long")?;
        memory.read_many(spans, into)?;
    }
    Ok(started.elapsed().as_secs_f64())
}

fn mappings(pid: Pid, inode: u64) -> Result<Vec<Mapping>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let parse = |line: &str| -> Option<Mapping> {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let executable = fields.next()?.contains('x');
        let number = |text| u64::from_str_radix(text, 16).ok();
        let offset = FileOffset(number(fields.next()?)?);
        let same = fields.nth(1)? == inode.to_string();
        let (start, end) = (ProcessAddress(number(start)?), ProcessAddress(number(end)?));
        same.then_some(Mapping { start, end, offset, executable })
    };
    Ok(maps.lines().filter_map(parse).collect())
}
