//! Whatever a process has in its memory, reading it ends: with an error, or with numbers that are
//! possible; never with a panic, and at a bounded cost.

use std::{cell::Cell, sync::Arc};

use proptest::prelude::*;

use super::{
    Groups, Origin, ReadError, RuntimeFacts, RuntimeReader, ScanBuffer,
    counts::{self, CountsAt},
    gc,
    globals::{Candidates, Global},
    goroutine::Decoder,
    goroutine_table::{self, GoroutineTable},
    heap, latency,
    layout::{Layout, dwarf::RuntimeTypes, table},
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
struct Maze {
    seed: u64,
    /// How many in 256 of the words lead into the maze.
    pointers: u8,
    read: Cell<u64>,
}

impl Maze {
    fn word(&self, at: u64) -> u64 {
        let mixed = mix(at ^ self.seed);
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
        let mut bytes = into.iter_mut();
        for span in spans {
            let end = span.end().unwrap();
            if span.at.0 < ARENA.start || end > ARENA.end {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn walks_through_anything_end(
        seed: u64, pointers in 0..200_u8, version in versions(), at in prop::array::uniform5(address())
    ) {
        let facts = facts(version);
        let (layout, minor) = (&facts.layout, facts.release.minor);
        let maze = Maze { seed, pointers, read: Cell::new(0) };
        let [allglen, allgptr, allp, sched, stats] = at.map(ProcessAddress);
        let extra = [Some(allp), Some(stats)];
        if let Ok(counts) = counts::read(&maze, layout, &CountsAt { allglen, allp, sched, extra }, 0) {
            prop_assert!(counts.live <= counts.created && counts.exited <= counts.created);
        }
        let _ = counts::check_processors(&maze, layout, allp);
        let _ = heap::read(&maze, layout, stats);
        let _ = gc::read(&maze, layout, minor, stats, sched);
        let _ = gc::goal(&maze, &layout.controller, minor, stats);
        let _ = latency::read(&maze, layout, minor, sched);
        let _ = WaitReasons::read(&maze, stats, layout.wait_reasons);

        let mut groups = Groups::default();
        let mut decoder = Decoder {
            layout: &layout.g,
            wait_reasons: layout.wait_reasons,
            finalizer_wait: None,
            start: &mut |_| Start::User,
        };
        let table = GoroutineTable { length: allglen, first: allgptr };
        let report = goroutine_table::scan(
            &maze, table, 0..600, &mut decoder, &mut ScanBuffer::default(), &mut |g| groups.add(g),
        );
        if let Ok(report) = report {
            prop_assert!(report.live <= report.records);
            prop_assert_eq!(report.live, groups.user() + groups.system());
        }
        prop_assert!(maze.read.get() < MAX_BYTES_READ, "{} bytes were read", maze.read.get());
    }

    #[test]
    fn nothing_is_found_where_there_is_no_runtime(
        seed: u64, pointers in 0..250_u8, version in versions(),
        at in prop::collection::vec(address(), 40)
    ) {
        let mut facts = facts(version);
        for (index, at) in at.iter().enumerate() {
            facts.candidates.add(Global::ALL[index % Global::ALL.len()], FileAddress(*at));
        }
        let maze = Maze { seed, pointers, read: Cell::new(0) };
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

#[test]
fn a_table_of_impossible_length_is_not_walked() {
    let mut memory = LiteralMemory::default();
    memory.put_words(0, &[1 << 40]);
    let table = GoroutineTable { length: ProcessAddress(0), first: ProcessAddress(0x100) };
    let length = goroutine_table::length(&memory, table);
    assert!(matches!(length, Err(ReadError::Implausible { .. })), "{length:?}");
}
