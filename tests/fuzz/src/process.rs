//! The memory of a process made by hand: the runtime's records of a small program, valid until the
//! fuzzer changes them, at the begin or between two reads.

use std::cell::{Cell, RefCell};

use crate::{
    inspect::address::{FileAddress, ProcessAddress},
    read::{
        Origin, RuntimeFacts,
        globals::{Candidates, Global},
        layout::{
            Fact, Layout, LayoutError, Source,
            records::{SchedFree, Stats},
            table,
        },
        memory::{Memory, MemoryError, Span, check_spans},
        release::{Arch, KNOWN, Minor, Release},
    },
};

use libfuzzer_sys::arbitrary::{self, Arbitrary};

use crate::change::{Change, MAX_CHANGES};

/// Address of the first byte.
pub const BASE: u64 = 0x10_0000;
/// Goroutines and processors that there are.
const GOROUTINES: u64 = 6;
const PROCESSORS: u64 = 2;
/// More than the pacer has in any release, in bytes.
const MAX_PACER: u64 = 2048;
/// Goroutine numbers given out.
const CREATED: u64 = 40;

/// What is known of the program, and the memory of its process.
pub struct Process {
    pub facts: RuntimeFacts,
    pub image: Vec<u8>,
    /// Offsets of all that was written into it: where changes matter.
    pub fields: Vec<u32>,
}

/// A process for each known release.
pub fn all() -> Vec<Process> {
    KNOWN.into_iter().map(process).collect()
}

fn process(minor: Minor) -> Process {
    let release = Release { minor, experiments: Vec::new() };
    let block = table::lookup(&release, Arch::Amd64).expect("the release is known");
    let layout = Layout::from_source(&block).expect("its layout is whole");
    let mut writer = Writer::default();
    let mut candidates = Candidates::default();
    for (global, at) in writer.runtime(&layout) {
        candidates.add(global, FileAddress(at));
    }
    let facts =
        RuntimeFacts { release, arch: Arch::Amd64, layout, origin: Origin::Table, candidates };
    Process { facts, image: writer.bytes, fields: writer.fields }
}

impl Process {
    /// What is known of the program, as debug information of its own would have it: some numbers of
    /// the layout are others. `None` where no layout comes of it.
    pub fn facts_with(&self, changes: &[(u8, u32)]) -> Option<RuntimeFacts> {
        let mut facts = self.facts.clone();
        if !changes.is_empty() {
            let block = table::lookup(&facts.release, facts.arch).ok()?;
            facts.layout = Layout::from_source(&ChangedLayout { block, changes }).ok()?;
        }
        Some(facts)
    }
}

/// A layout of which some facts, by a number that is made of their names, are others.
struct ChangedLayout<'a> {
    block: table::Block,
    changes: &'a [(u8, u32)],
}

impl Source for ChangedLayout<'_> {
    fn get(&self, fact: Fact) -> Result<Option<u32>, LayoutError> {
        let name = fact.to_string();
        let number = name.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        let changed = self.changes.iter().find(|(wanted, _)| *wanted == number);
        changed.map_or_else(|| self.block.get(fact), |(_, value)| Ok(Some(*value)))
    }
}

/// Lays records out one behind the other.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    fields: Vec<u32>,
}

impl Writer {
    /// Room for a record; gives its address.
    fn room(&mut self, size: u64) -> u64 {
        let at = self.bytes.len().next_multiple_of(16);
        self.bytes.resize(at + size as usize, 0);
        BASE + at as u64
    }

    fn put(&mut self, at: u64, offset: u32, value: &[u8]) {
        let at = (at - BASE) as usize + offset as usize;
        self.fields.extend((at as u32..(at + value.len()) as u32).step_by(8));
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }

    fn word(&mut self, at: u64, offset: u32, value: u64) {
        self.put(at, offset, &value.to_le_bytes());
    }

    fn half(&mut self, at: u64, offset: u32, value: u32) {
        self.put(at, offset, &value.to_le_bytes());
    }

    fn words(&mut self, words: &[u64]) -> u64 {
        let at = self.room(words.len() as u64 * 8);
        self.put(at, 0, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());
        at
    }

    fn runtime(&mut self, layout: &Layout) -> Vec<(Global, u64)> {
        let processors: Vec<u64> = (0..PROCESSORS).map(|id| self.processor(layout, id)).collect();
        let processors = self.words(&processors);
        let allp = self.words(&[processors, PROCESSORS, PROCESSORS]);
        let records: Vec<u64> = (1..=GOROUTINES).map(|goid| self.goroutine(layout, goid)).collect();
        let records = self.words(&records);
        let sched = self.sched(layout);
        let (stats, controller) = self.heap(layout);
        let variables = self.words(&[GOROUTINES, records, 1, 0]);
        vec![
            (Global::AllgLen, variables),
            (Global::AllgPtr, variables + 8),
            (Global::Allp, allp),
            (Global::Sched, sched),
            (Global::Memstats, stats),
            (Global::GcController, controller),
            (Global::WaitReasons, self.wait_reasons(layout)),
            (Global::ExtraLength, variables + 16),
            (Global::ExtraInUse, variables + 24),
        ]
    }

    fn processor(&mut self, layout: &Layout, id: u64) -> u64 {
        let p = &layout.p;
        let at = self.room(u64::from(p.free.max(p.goroutines_created.unwrap_or(0))) + 16);
        self.half(at, p.id, id as u32);
        self.half(at, p.status, id as u32);
        self.word(at, p.goidcache, CREATED - 8);
        self.word(at, p.goidcacheend, CREATED);
        if let Some(offset) = p.goroutines_created {
            self.word(at, offset, 8);
        }
        at
    }

    fn goroutine(&mut self, layout: &Layout, goid: u64) -> u64 {
        let g = &layout.g;
        let at = self.room(g.size.into());
        self.word(at, g.stack_lo, 0x20_0000);
        self.word(at, g.stack_hi, 0x20_2000);
        // The last but one is free, the last runs.
        let status = match GOROUTINES - goid {
            0 => 2,
            1 => 6,
            _ => 4,
        };
        self.half(at, g.atomicstatus, status);
        self.word(at, g.goid, goid);
        self.put(at, g.waitreason, &[2]);
        self.word(at, g.gopc, 0x30_0008);
        self.word(at, g.startpc, 0x30_0000 + goid * 16);
        at
    }

    fn sched(&mut self, layout: &Layout) -> u64 {
        let sched = &layout.sched;
        let last = [sched.stw_total_time_gc, sched.goroutines_created].into_iter().flatten();
        let end = last.fold(sched.time_to_run, u32::max);
        let at = self.room(u64::from(end + layout.histogram.size) + 64);
        self.word(at, sched.goidgen, CREATED);
        self.word(at, sched.mnext, 5);
        self.half(at, sched.ngsys, 2);
        match sched.free {
            SchedFree::One { count, .. } => self.half(at, count, 1),
            SchedFree::Two { stack_count, .. } => self.half(at, stack_count, 1),
        }
        if let Some(offset) = sched.goroutines_created {
            self.word(at, offset, 8);
        }
        self.word(at, sched.time_to_run, 7);
        at
    }

    /// Statistics and pacer.
    fn heap(&mut self, layout: &Layout) -> (u64, u64) {
        let Stats { heap_stats, heap_stats_gen, gc_pause_dist, .. } = layout.stats;
        let end = [
            heap_stats + 3 * layout.heap.size,
            heap_stats_gen,
            gc_pause_dist.unwrap_or(0) + layout.histogram.size,
            layout.stats.pause_end + 2048,
            layout.stats.enablegc,
            layout.stats.numforcedgc,
        ];
        let at = self.room(u64::from(end.into_iter().max().unwrap_or(0)) + 64);
        self.word(at, heap_stats + layout.heap.committed, 1 << 22);
        self.word(at, heap_stats + layout.heap.in_heap, 1 << 20);
        self.word(at, heap_stats + layout.heap.in_stacks, 1 << 16);
        self.word(at, heap_stats + layout.heap.large_alloc, 1 << 18);
        self.word(at, heap_stats + layout.heap.large_alloc_count, 3);
        self.half(at, layout.stats.numgc, 3);
        self.half(at, layout.stats.numforcedgc, 1);
        let pacer = &layout.controller;
        let controller = self.room(MAX_PACER);
        self.word(controller, pacer.memory_limit, i64::MAX.cast_unsigned());
        self.word(controller, pacer.gc_percent_heap_goal, 4 << 20);
        self.word(controller, pacer.triggered, u64::MAX);
        self.word(controller, pacer.heap_marked, 1 << 20);
        self.word(controller, pacer.total_alloc, 1 << 18);
        self.word(controller, pacer.mapped_ready, 8 << 20);
        self.word(controller, pacer.heap_free, 2 << 20);
        (at, controller)
    }

    fn wait_reasons(&mut self, layout: &Layout) -> u64 {
        let mut headers = vec![0, 0];
        for number in 1..u64::from(layout.wait_reasons) {
            let name = match number {
                1 => "GC assist marking",
                2 => "finalizer wait",
                _ => "select",
            };
            let at = self.room(name.len() as u64);
            self.put(at, 0, name.as_bytes());
            headers.extend([at, name.len() as u64]);
        }
        self.words(&headers)
    }
}

/// The name of the function at an address: those that mean something to the reader among them.
pub fn name(at: FileAddress) -> Option<String> {
    let name = match at.0 / 16 % 8 {
        _ if !at.0.is_multiple_of(16) => return None,
        1 => "runtime.main",
        2 => "runtime.bgsweep",
        3 => "runtime.runFinalizers",
        4 => "runtime.runCleanups",
        _ => "main.f",
    };
    Some(name.to_owned())
}

/// A change while the memory is read.
#[derive(Clone, Debug, Arbitrary)]
pub struct Moment {
    /// Before the read of this number.
    before: u8,
    /// The place is the number of a field, not an offset.
    field: bool,
    change: Change,
}

/// Memory that changes while it is read.
pub struct ChangingMemory {
    bytes: RefCell<Vec<u8>>,
    /// Before which read which change is made, the last first.
    changes: RefCell<Vec<(u8, Change)>>,
    reads: Cell<u64>,
    /// Bytes read so far.
    pub read: Cell<u64>,
}

impl ChangingMemory {
    pub fn new(process: &Process, moments: &[Moment], cut: Option<u16>) -> Self {
        let mut bytes = process.image.clone();
        if let Some(cut) = cut {
            bytes.truncate(usize::from(cut));
        }
        let resolved = moments.iter().take(MAX_CHANGES).map(|moment| {
            let Moment { before, field, mut change } = moment.clone();
            if field {
                let place = change.place_mut();
                *place = process.fields[*place as usize % process.fields.len()];
            }
            (before, change)
        });
        let mut changes: Vec<_> = resolved.collect();
        changes.sort_by_key(|(before, _)| std::cmp::Reverse(*before));
        Self {
            bytes: RefCell::new(bytes),
            changes: RefCell::new(changes),
            reads: Cell::new(0),
            read: Cell::new(0),
        }
    }
}

impl Memory for ChangingMemory {
    fn read_many(&self, spans: &[Span], into: &mut [u8]) -> Result<(), MemoryError> {
        check_spans(spans, into.len())?;
        let mut bytes = self.bytes.borrow_mut();
        let mut changes = self.changes.borrow_mut();
        while let Some((before, change)) = changes.last()
            && u64::from(*before) <= self.reads.get()
        {
            change.apply(&mut bytes, BASE);
            changes.pop();
        }
        self.reads.set(self.reads.get() + 1);
        self.read.set(self.read.get() + into.len() as u64);
        let mut rest = into;
        for span in spans {
            let unmapped = MemoryError::Unmapped { at: span.at, length: span.length };
            let begin = span.at.0.checked_sub(BASE).ok_or(unmapped)? as usize;
            let source = bytes.get(begin..).and_then(|bytes| bytes.get(..span.length));
            let (target, behind) = rest.split_at_mut(span.length);
            target.copy_from_slice(source.ok_or(unmapped)?);
            rest = behind;
        }
        Ok(())
    }
}

/// An address in the image.
pub fn address(offset: u16) -> ProcessAddress {
    ProcessAddress(BASE + u64::from(offset))
}
