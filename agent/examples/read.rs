//! Prints what stage `read` knows of a process, and what the reading costs.
//!
//! ```text
//! cargo run --example read -- PID
//! ```

use std::{
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
        Groups, RuntimeFacts, RuntimeReader, ScanBuffer,
        memory::{Memory, Span},
        process_memory::ProcessMemory,
    },
};

fn main() -> Result<()> {
    let pid = Pid(env::args().nth(1).context("usage: read PID")?.parse()?);
    let file = File::open(format!("/proc/{pid}/exe"))?;
    let inode = file.metadata()?.st_ino();
    let started = Instant::now();
    let binary = Arc::new(inspect(file)?);
    println!("inspect: {:?}", started.elapsed());
    let started = Instant::now();
    let facts = Arc::new(RuntimeFacts::of(&binary)?);
    println!("facts: {:?} ({:?}, {:?})", started.elapsed(), facts.release, facts.origin);
    let bias = binary.load_bias(mappings(pid, inode)?).context("no load bias")?;
    let started = Instant::now();
    let names = Arc::clone(&binary);
    let names = Arc::new(move |at| names.function_at(at));
    let mut reader = RuntimeReader::open(facts, ProcessMemory::new(pid, "/proc")?, bias, names)?;
    println!("open: {:?}", started.elapsed());
    for (global, why) in reader.missing() {
        println!("missing {}: {why}", global.symbol());
    }
    for _ in 0..3 {
        let started = Instant::now();
        let counts = reader.counts()?;
        println!("counts: {:?} {counts:?}", started.elapsed());
    }
    let mut buffer = ScanBuffer::default();
    let mut groups = Groups::default();
    let mut records = Vec::new();
    for _ in 0..5 {
        groups.clear();
        let started = Instant::now();
        let report = reader.scan(&mut buffer, &mut |goroutine| groups.add(goroutine))?;
        println!("scan: {:?} {report:?}", started.elapsed());
    }
    reader.scan(&mut buffer, &mut |goroutine| records.push(goroutine.record.0))?;
    bare(reader.memory(), records, reader.facts().layout.g.size.into())?;
    for (state, count) in groups.by_state().filter(|(_, count)| *count > 0) {
        println!("  {count} {}", state.as_str());
    }
    for (reason, count) in groups.by_reason() {
        println!("  {count} {}", reader.wait_reasons()?.name(reason).unwrap_or("?"));
    }
    println!("gc: {:?} cycles", reader.gc().map(|gc| gc.cycles));
    println!("heap: {:?} {:?}", reader.heap(), reader.heap_goal());
    println!("latencies: {:?}", reader.sched_latency().map(|latency| latency.count()));
    Ok(())
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

/// How long it takes to read the same bytes and do nothing with them.
fn bare(memory: &impl Memory, mut records: Vec<u64>, size: u64) -> Result<()> {
    records.sort_unstable();
    let mut spans: Vec<Span> = Vec::new();
    for at in &records {
        match spans.last_mut() {
            Some(last) if at - (last.at.0 + last.length as u64) < 256 && last.length < 16 << 10 => {
                last.length = usize::try_from(at + size - last.at.0)?;
            }
            _ => spans.push(Span { at: ProcessAddress(*at), length: usize::try_from(size)? }),
        }
    }
    for _ in 0..3 {
        let started = Instant::now();
        let mut into = vec![0; 64 << 20];
        let mut bytes = 0;
        for batch in spans.chunks(512) {
            let length = batch.iter().map(|span| span.length).sum();
            bytes += length;
            let target = into.get_mut(..length).context("too long")?;
            memory.read_many(batch, target)?;
        }
        println!("bare: {:?} for {bytes} bytes in {} spans", started.elapsed(), spans.len());
    }
    Ok(())
}
