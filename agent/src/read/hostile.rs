//! Whatever a process has in its memory, reading it ends: with an error, or with numbers that are
//! possible; never with a panic, and at a bounded cost.

use std::{cell::Cell, sync::Arc};

use proptest::prelude::*;

use super::{
    Groups, Origin, ReadError, RuntimeFacts, RuntimeReader, ScanBuffer,
    counts::{self, CountsAt},
    gc,
    globals::{Candidates, Global},
    goroutine::{Decoder, Goroutine},
    goroutine_table::{self, GoroutineTable},
    heap, latency,
    layout::{Fact, Layout, LayoutError, Source, dwarf::RuntimeTypes, table},
    memory::{Memory, MemoryError, Span, check_spans, literal::LiteralMemory},
    release::{Arch, Release},
    system_goroutine::Start,
    wait_reason::WaitReasons,
};
use crate::inspect::address::{FileAddress, LoadBias, ProcessAddress};

/// The addresses that are mapped.
const ARENA: std::ops::Range<u64> = 0x10_000..0x110_000;
/// More than all walks together read of a process of this size.
const MAX_BYTES_READ: u64 = 256 << 20;

/// Words that lead somewhere: to one another, to nowhere, to small and to huge numbers. Which, is a
/// matter of the seed; each word stays what it is.
#[derive(Debug)]
struct Maze {
    seed: u64,
    /// How many in 256 of the words lead into the maze.
    pointers: u8,
    /// Nothing is mapped from this address on.
    end: u64,
    /// Each word is another one at each read.
    changes: bool,
    reads: Cell<u64>,
    read: Cell<u64>,
}

impl Maze {
    fn word(&self, at: u64) -> u64 {
        let moment = if self.changes { self.reads.get() << 32 } else { 0 };
        let mixed = mix(at ^ self.seed ^ moment);
        let [choice, ..] = mixed.to_le_bytes();
        let value = mix(mixed);
        if choice < self.pointers {
            return ARENA.start + value % (ARENA.end - ARENA.start) / 8 * 8;
        }
        match choice % 8 {
            0 => 0,
            1 => u64::MAX - value % 16,
            2 => value,
            3 => value % (1 << 40),
            _ => value % 600,
        }
    }
}

fn mix(mut value: u64) -> u64 {
    for _ in 0..2 {
        value = (value ^ (value >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    }
    value ^ (value >> 27)
}

impl Memory for Maze {
    fn read_many(&self, spans: &[Span], into: &mut [u8]) -> Result<(), MemoryError> {
        check_spans(spans, into.len())?;
        self.read.set(self.read.get() + u64::try_from(into.len()).unwrap());
        self.reads.set(self.reads.get() + 1);
        let mut bytes = into.iter_mut();
        for span in spans {
            let end = span.end().unwrap();
            if span.at.0 < ARENA.start || end > self.end {
                return Err(MemoryError::Unmapped { at: span.at, length: span.length });
            }
            for (at, byte) in (span.at.0..end).zip(&mut bytes) {
                let word = self.word(at / 8 * 8).to_le_bytes();
                *byte = word[usize::try_from(at % 8).unwrap()];
            }
        }
        Ok(())
    }
}

/// Mazes that end early or late, and stay as they are or change.
fn mazes(pointers: std::ops::Range<u8>) -> impl Strategy<Value = Maze> {
    let end = prop_oneof![Just(ARENA.end), ARENA];
    (any::<u64>(), pointers, end, any::<bool>()).prop_map(|(seed, pointers, end, changes)| Maze {
        seed,
        pointers,
        end,
        changes,
        reads: Cell::new(0),
        read: Cell::new(0),
    })
}

/// A layout as the debug information of a hostile program may have it: anything.
struct AnyLayout {
    seed: u64,
    /// Numbers are below this: small ones get past more checks.
    below: u32,
}

impl Source for AnyLayout {
    fn get(&self, fact: Fact) -> Result<Option<u32>, LayoutError> {
        let bytes = fact.to_string().into_bytes();
        let mixed = bytes.iter().fold(self.seed, |mixed, byte| mix(mixed ^ u64::from(*byte)));
        let [choice, _, _, _, number @ ..] = mixed.to_le_bytes();
        Ok((choice != 0).then(|| u32::from_le_bytes(number) % self.below))
    }
}

fn facts(version: &str) -> RuntimeFacts {
    let release = Release::parse(version).unwrap();
    let block = table::lookup(&release, Arch::Amd64).unwrap();
    RuntimeFacts {
        layout: Layout::from_source(&block).unwrap(),
        release,
        arch: Arch::Amd64,
        origin: Origin::Table,
        candidates: Candidates::default(),
    }
}

fn versions() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("go1.19"), Just("go1.21.1"), Just("go1.24.1"), Just("go1.27.1")]
}

fn address() -> impl Strategy<Value = u64> {
    (ARENA.start / 8..ARENA.end / 8).prop_map(|word| word * 8)
}

/// Takes these addresses for the runtime's variables and reads all there is to read.
fn walk(facts: &RuntimeFacts, memory: &impl Memory, at: [u64; 5]) {
    let (layout, minor) = (&facts.layout, facts.release.minor);
    let [allglen, allgptr, allp, sched, stats] = at.map(ProcessAddress);
    let extra = [Some(allp), Some(stats)];
    if let Ok(counts) = counts::read(memory, layout, &CountsAt { allglen, allp, sched, extra }, 0) {
        assert!(counts.live <= counts.created && counts.exited <= counts.created, "{counts:?}");
    }
    let _ = counts::check_processors(memory, layout, allp);
    let _ = heap::read(memory, layout, stats);
    let _ = gc::goal(memory, &layout.controller, minor, stats);
    let _ = WaitReasons::read(memory, stats, layout.wait_reasons);
    let pauses = gc::read(memory, layout, minor, stats, sched).map(|gc| gc.pauses);
    for histogram in [pauses, latency::read(memory, layout, minor, sched)].into_iter().flatten() {
        assert_eq!(histogram.counts.len(), histogram.bounds.len() + 1);
        assert!(histogram.counts.iter().all(|count| *count <= histogram.count()));
    }
    let mut groups = Groups::default();
    let mut decoder = Decoder {
        layout: &layout.g,
        wait_reasons: layout.wait_reasons,
        finalizer_wait: None,
        start: &mut |_| Start::User,
    };
    let table = GoroutineTable { length: allglen, first: allgptr };
    let buffer = &mut ScanBuffer::default();
    let visit = &mut |goroutine: &Goroutine| groups.add(goroutine);
    let report = goroutine_table::scan(memory, table, 0..600, &mut decoder, buffer, visit);
    if let Ok(report) = report {
        assert!(report.live + report.unreadable <= report.records, "{report:?}");
        assert_eq!(report.live, groups.user() + groups.system());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn walks_through_anything_end(
        maze in mazes(0..200), version in versions(), at in prop::array::uniform5(address())
    ) {
        walk(&facts(version), &maze, at);
        prop_assert!(maze.read.get() < MAX_BYTES_READ, "{} bytes were read", maze.read.get());
    }

    #[test]
    fn walks_with_any_layout_end(
        maze in mazes(0..200), version in versions(), at in prop::array::uniform5(address()),
        seed: u64, below in prop_oneof![Just(64), Just(5000), Just(u32::MAX)]
    ) {
        let mut facts = facts(version);
        if let Ok(layout) = Layout::from_source(&AnyLayout { seed, below }) {
            facts.layout = layout;
        }
        walk(&facts, &maze, at);
        prop_assert!(maze.read.get() < MAX_BYTES_READ, "{} bytes were read", maze.read.get());
    }

    #[test]
    fn nothing_is_found_where_there_is_no_runtime(
        maze in mazes(0..250), version in versions(), at in prop::collection::vec(address(), 40)
    ) {
        let mut facts = facts(version);
        for (index, at) in at.iter().enumerate() {
            facts.candidates.add(Global::ALL[index % Global::ALL.len()], FileAddress(*at));
        }
        let names = Arc::new(|at: FileAddress| at.0.is_multiple_of(16).then(|| "main.f".to_owned()));
        let opened = RuntimeReader::open(Arc::new(facts), &maze, LoadBias(0), names);
        prop_assert!(opened.is_err());
        prop_assert!(maze.read.get() < MAX_BYTES_READ, "{} bytes were read", maze.read.get());
    }

    #[test]
    fn any_bytes_are_no_debug_information(
        info in prop::collection::vec(any::<u8>(), 0..2000),
        abbrev in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        if let Ok(types) = RuntimeTypes::find(info.as_slice(), abbrev) {
            prop_assert!(Layout::from_source(&types).is_err());
        }
    }
}

/// Memory that is mapped everywhere and holds the same word everywhere.
struct Everywhere {
    word: u64,
    read: Cell<u64>,
}

impl Memory for Everywhere {
    fn read_many(&self, spans: &[Span], into: &mut [u8]) -> Result<(), MemoryError> {
        check_spans(spans, into.len())?;
        self.read.set(self.read.get() + u64::try_from(into.len()).unwrap());
        let word = self.word.to_le_bytes();
        into.iter_mut().zip(word.iter().cycle()).for_each(|(byte, value)| *byte = *value);
        Ok(())
    }
}

/// Every address leads to the same one, every length is huge or nothing, every string is its own
/// header.
#[test]
fn where_all_words_are_the_same_walks_end() {
    let words = [0, 1, 2, 4, 16_384, 1 << 16, 1 << 25, 1 << 26, 1 << 40, 1 << 63, u64::MAX];
    for word in words {
        for version in ["go1.19", "go1.21.1", "go1.25.1", "go1.27.1"] {
            let mut facts = facts(version);
            let memory = Everywhere { word, read: Cell::new(0) };
            walk(&facts, &memory, [word; 5]);
            Global::ALL
                .into_iter()
                .for_each(|global| facts.candidates.add(global, FileAddress(word)));
            let names = Arc::new(|_| Some("main.f".to_owned()));
            let opened = RuntimeReader::open(Arc::new(facts), &memory, LoadBias(0), names);
            assert!(opened.is_err(), "{word:#x}, {version}");
            assert!(memory.read.get() < MAX_BYTES_READ, "{} bytes were read", memory.read.get());
        }
    }
}

/// As many processors as are believed, and one more: a length that was read decides no allocation
/// beyond that.
#[test]
fn more_processors_than_there_are_machines_for_are_not_looked_at() {
    let facts = facts("go1.26.1");
    let check = |length| {
        let mut memory = LiteralMemory::default();
        memory.put_words(0, &[0x1000, length, length]);
        counts::check_processors(&memory, &facts.layout, ProcessAddress(0))
    };
    assert!(matches!(check(16_384), Err(ReadError::Memory(MemoryError::Unmapped { .. }))));
    assert!(matches!(check(16_385), Err(ReadError::Implausible { .. })));
    assert!(matches!(check(u64::MAX), Err(ReadError::Implausible { .. })));
    assert_eq!(check(0), Err(ReadError::NotStarted));
}

fn scan(memory: &LiteralMemory, length: u64) -> Result<super::ScanReport, ReadError> {
    let facts = facts("go1.26.1");
    let mut decoder = Decoder {
        layout: &facts.layout.g,
        wait_reasons: facts.layout.wait_reasons,
        finalizer_wait: None,
        start: &mut |_| Start::User,
    };
    let table = GoroutineTable { length: ProcessAddress(0), first: ProcessAddress(0x100) };
    let buffer = &mut ScanBuffer::default();
    goroutine_table::scan(memory, table, 0..length, &mut decoder, buffer, &mut |_| ())
}

#[test]
fn a_table_that_names_a_record_twice_is_none() {
    let mut memory = LiteralMemory::default();
    memory.put_words(0x100, &[0x1000]);
    memory.put_words(0x1000, &[0x9000, 0x8000, 0x9000]);
    memory.put(0x8000, vec![0; 456]);
    memory.put(0x9000, vec![0; 456]);
    let twice = scan(&memory, 3);
    assert!(matches!(twice, Err(ReadError::Implausible { .. })), "{twice:?}");
    assert_eq!(scan(&memory, 2).map(|report| report.records), Ok(2));
}

#[test]
fn a_long_table_of_nothing_is_given_up() {
    let mut memory = LiteralMemory::default();
    memory.put_words(0x100, &[0x100_0000]);
    let addresses: Vec<u64> = (0..1 << 17).map(|index| 0x4000_0000 + index * 8).collect();
    memory.put_words(0x100_0000, &addresses);
    let nothing = scan(&memory, 1 << 17);
    assert!(matches!(nothing, Err(ReadError::Implausible { .. })), "{nothing:?}");
}

/// The table lies in the records that it names.
#[test]
fn a_table_within_its_own_records_is_read_like_any_other() {
    let mut memory = LiteralMemory::default();
    memory.put_words(0x100, &[0x1000]);
    let words: Vec<u64> = (0..512).map(|index| 0x1000 + index * 8).collect();
    memory.put_words(0x1000, &words);
    let report = scan(&memory, 400).unwrap();
    assert_eq!((report.records, report.live), (400, 0));
    assert_eq!(report.torn, report.unreadable);
}

#[test]
fn a_table_of_impossible_length_is_not_walked() {
    let mut memory = LiteralMemory::default();
    memory.put_words(0, &[1 << 40]);
    let table = GoroutineTable { length: ProcessAddress(0), first: ProcessAddress(0x100) };
    let length = goroutine_table::length(&memory, table);
    assert!(matches!(length, Err(ReadError::Implausible { .. })), "{length:?}");
}
