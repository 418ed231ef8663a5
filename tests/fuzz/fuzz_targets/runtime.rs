//! The runtime's records in a process: found, checked, then read, while the process changes them
//! as it likes: goroutines, counts, heap, collector, histograms, wait reasons.
#![no_main]

use std::sync::{Arc, LazyLock};

use goroscope_fuzz::process::{self, ChangingMemory, Moment, Process, address, name};
use goroscope_fuzz::{
    inspect::address::{FileAddress, LoadBias},
    read::{Groups, RuntimeFacts, RuntimeReader, ScanBuffer, globals::Global},
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

/// More than is read of a process of this size, whatever it holds.
const MAX_BYTES_READ: u64 = 64 << 20;

static PROCESSES: LazyLock<Vec<Process>> = LazyLock::new(process::all);

#[derive(Debug, Arbitrary)]
struct Input {
    process: u8,
    cut: Option<u16>,
    /// Other numbers in the layout, as the program's own debug information may have them.
    layout: Vec<(u8, u32)>,
    /// Other places where variables may be, as a stripped binary has them.
    candidates: Vec<(u8, u16)>,
    changes: Vec<Moment>,
}

/// Reads all there is to read; `true` where all of it was there.
fn read(mut facts: RuntimeFacts, candidates: &[(u8, u16)], memory: &ChangingMemory) -> bool {
    for (global, offset) in candidates.iter().take(32) {
        let global = Global::ALL[usize::from(*global) % Global::ALL.len()];
        facts.candidates.add(global, FileAddress(address(*offset).0));
    }
    let mut whole = true;
    let opened = RuntimeReader::open(Arc::new(facts), memory, LoadBias(0), Arc::new(name));
    let Ok(mut reader) = opened else { return false };
    let mut buffer = ScanBuffer::default();
    let mut before = None;
    for _ in 0..3 {
        match reader.counts() {
            Ok(counts) => {
                assert!(counts.live <= counts.created && counts.exited <= counts.created);
                assert!(before.is_none_or(|before| before <= (counts.created, counts.exited)));
                before = Some((counts.created, counts.exited));
            }
            Err(_) => whole = false,
        }
        let mut groups = Groups::default();
        match reader.scan(&mut buffer, &mut |goroutine| groups.add(goroutine)) {
            Ok(report) => {
                assert!(report.live + report.unreadable <= report.records, "{report:?}");
                assert_eq!(report.live, groups.user() + groups.system());
            }
            Err(_) => whole = false,
        }
        for histogram in [reader.sched_latency(), reader.gc().map(|gc| gc.pauses)] {
            match histogram {
                Ok(histogram) => assert_eq!(histogram.counts.len(), histogram.bounds.len() + 1),
                Err(_) => whole = false,
            }
        }
        whole &= reader.heap().is_ok() && reader.heap_goal().is_ok();
        whole &= reader.wait_reasons().is_ok_and(|reasons| reasons.name(2).is_some());
        whole &= reader.missing().count() == 0;
        reader.look_again();
    }
    whole
}

fn check() {
    for process in PROCESSES.iter() {
        let memory = ChangingMemory::new(process, &[], None);
        let facts = process.facts.clone();
        assert!(read(facts, &[], &memory), "{:?} is not understood", process.facts.release);
    }
}

fuzz_target!(init: check(), |input: Input| {
    let process = &PROCESSES[usize::from(input.process) % PROCESSES.len()];
    let memory = ChangingMemory::new(process, &input.changes, input.cut);
    let Some(facts) = process.facts_with(&input.layout) else { return };
    read(facts, &input.candidates, &memory);
    let read = memory.read.get();
    assert!(read < MAX_BYTES_READ, "{read} bytes were read");
});
