//! Variables of a stripped binary, from the instructions of functions that use them.
//!
//! The function table stays when the symbols go, and with it the names of the runtime's functions.
//! Each record is found by its fields: the instructions name `record + offset`, the offsets are
//! known from the layout, and the begin that explains most of them is the likeliest. The live
//! process has the last word.

use std::{collections::HashMap, ops::Range};

use super::{Candidates, Global, amd64, arm64};
use crate::{
    inspect::{Binary, Code, InspectError, address::FileAddress},
    read::{
        layout::{Layout, records::SchedFree},
        release::Arch,
    },
};

/// How much behind the file's part of the writable memory zeroed variables may be.
const MAX_ZEROED: u64 = 1 << 30;
/// Likeliest addresses kept of one variable.
const MAX_CANDIDATES: usize = 24;

/// The functions whose code is looked at. They exist under these names in all known releases, but
/// for a few that are made of others.
const FUNCTIONS: [&str; 21] = [
    "runtime.allgadd",
    "runtime.forEachGRace",
    "runtime.procresize",
    "runtime.gcMarkTinyAllocs",
    "runtime.newproc1",
    "runtime.schedtrace",
    "runtime.checkdead",
    "runtime.gfget",
    "runtime.gfput",
    "runtime.mcommoninit",
    "runtime.oneNewExtraM",
    "runtime.gcMarkTermination",
    "runtime.gcTrigger.test",
    "runtime.gcenable",
    "runtime.(*mheap).init",
    "runtime.(*mcache).refill",
    "runtime.(*mheap).allocSpan",
    "runtime.gcControllerCommit",
    "runtime.waitReason.String",
    "runtime.(*waitReason).String",
    "runtime.goroutineheader",
];
const ALLGS: [&str; 1] = ["runtime.allgadd"];
const TABLE: [&str; 2] = ["runtime.forEachGRace", "runtime.allgadd"];
const PROCESSORS: [&str; 2] = ["runtime.procresize", "runtime.gcMarkTinyAllocs"];
const SCHED: [&str; 7] = [
    "runtime.newproc1",
    "runtime.schedtrace",
    "runtime.checkdead",
    "runtime.gfget",
    "runtime.gfput",
    "runtime.mcommoninit",
    "runtime.oneNewExtraM",
];
const MEMSTATS: [&str; 5] = [
    "runtime.gcMarkTermination",
    "runtime.gcTrigger.test",
    "runtime.gcenable",
    "runtime.(*mheap).init",
    "runtime.(*mcache).refill",
];
const CONTROLLER: [&str; 4] = [
    "runtime.gcMarkTermination",
    "runtime.(*mcache).refill",
    "runtime.(*mheap).allocSpan",
    "runtime.gcControllerCommit",
];
const WAIT_REASONS: [&str; 3] =
    ["runtime.waitReason.String", "runtime.(*waitReason).String", "runtime.goroutineheader"];

/// Looks for the variables.
///
/// # Errors
///
/// Where the function table is bad or the file cannot be read.
pub fn find(binary: &Binary, layout: &Layout, arch: Arch) -> Result<Candidates, InspectError> {
    let writable: Vec<_> = binary
        .writable()
        .map(|range| range.start..FileAddress(range.end.0.saturating_add(MAX_ZEROED)))
        .collect();
    let code = binary.code(FUNCTIONS)?;
    let targets: HashMap<_, _> = FUNCTIONS
        .into_iter()
        .zip(&code)
        .filter_map(|(name, code)| Some((name, targets(code.as_ref()?, arch))))
        .collect();
    Ok(candidates(&Targets { by_function: targets, writable }, layout))
}

fn targets(code: &Code, arch: Arch) -> Vec<FileAddress> {
    match arch {
        Arch::Amd64 => amd64::targets(code),
        Arch::Arm64 => arm64::targets(code),
    }
}

/// What the functions refer to.
struct Targets {
    by_function: HashMap<&'static str, Vec<FileAddress>>,
    writable: Vec<Range<FileAddress>>,
}

impl Targets {
    /// Distinct writable addresses that these functions refer to, in their order.
    fn of(&self, functions: &[&str]) -> Vec<FileAddress> {
        let mut found = Vec::new();
        let all = functions.iter().filter_map(|name| self.by_function.get(name)).flatten();
        for target in all {
            let writable = self.writable.iter().any(|range| range.contains(target));
            if writable && !found.contains(target) {
                found.push(*target);
            }
        }
        found
    }
}

fn candidates(targets: &Targets, layout: &Layout) -> Candidates {
    let mut candidates = Candidates::default();
    let mut add = |global, addresses: Vec<FileAddress>| {
        for at in addresses.into_iter().take(MAX_CANDIDATES) {
            candidates.add(global, at);
        }
    };
    // Words of their own: whatever the functions refer to may be it, but for the parts of the slice
    // `runtime.allgs` next to them. Its capacity can be taken for its length until it grows.
    let slices = begins(&targets.of(&ALLGS), &[0, 8, 16]);
    let slice = slices.first().map(|slice| slice.0..slice.0.saturating_add(24));
    let mut table = targets.of(&TABLE);
    table.retain(|target| !slice.as_ref().is_some_and(|slice| slice.contains(&target.0)));
    add(Global::AllgLen, table.clone());
    add(Global::AllgPtr, table);
    add(Global::WaitReasons, targets.of(&WAIT_REASONS));
    // A slice: address, length and capacity.
    add(Global::Allp, begins(&targets.of(&PROCESSORS), &[0, 8, 16]));

    let sched = layout.sched;
    let mut fields = vec![sched.goidgen, sched.lock, sched.mnext, sched.nmfreed, sched.ngsys];
    match sched.free {
        SchedFree::One { count, stack, no_stack } => fields.extend([count, stack, no_stack]),
        SchedFree::Two { stack, no_stack, stack_count, no_stack_count } => {
            fields.extend([stack, no_stack, stack_count, no_stack_count]);
        }
    }
    add(Global::Sched, begins(&targets.of(&SCHED), &fields));

    let stats = layout.stats;
    let fields = [
        stats.numgc,
        stats.numforcedgc,
        stats.pause_total_ns,
        stats.pause_ns,
        stats.pause_end,
        stats.last_gc_unix,
        stats.enablegc,
        stats.heap_stats,
    ];
    add(Global::Memstats, begins(&targets.of(&MEMSTATS), &fields));

    let pacer = layout.controller;
    let fields = [
        pacer.gc_percent,
        pacer.memory_limit,
        pacer.heap_live,
        pacer.total_alloc,
        pacer.mapped_ready,
        pacer.heap_free,
    ];
    add(Global::GcController, begins(&targets.of(&CONTROLLER), &fields));
    candidates
}

/// Begins of a record with these fields, those first that explain most of the addresses.
fn begins(targets: &[FileAddress], fields: &[u32]) -> Vec<FileAddress> {
    let mut votes: HashMap<FileAddress, usize> = HashMap::new();
    for target in targets {
        for field in fields {
            if let Some(begin) = target.0.checked_sub(u64::from(*field)) {
                *votes.entry(FileAddress(begin)).or_default() += 1;
            }
        }
    }
    let mut votes: Vec<_> = votes.into_iter().filter(|(_, count)| *count > 1).collect();
    votes.sort_unstable_by_key(|(begin, count)| (usize::MAX - count, begin.0));
    votes.into_iter().map(|(begin, _)| begin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_begin_that_explains_most_comes_first() {
        let targets = [0x1000, 0x1018, 0x1030, 0x2000, 0x2018].map(FileAddress);
        let found = begins(&targets, &[0, 0x18, 0x30]);
        assert_eq!(found.first(), Some(&FileAddress(0x1000)));
        assert!(found.contains(&FileAddress(0x2000)));
    }
}
