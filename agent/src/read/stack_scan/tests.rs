//! Scans of stacks while the goroutines do not stand still, in literal memory.

use std::cell::{Cell, RefCell};

use super::*;
use crate::read::{
    layout::{Layout, table},
    memory::literal::LiteralMemory,
    release::{Arch, Release},
    stack::tests::Functions,
    system_goroutine::Start,
    thread_sample::Sampler,
};

pub(in crate::read) const RECORD: u64 = 0x10_0000;
pub(in crate::read) const STACK: (u64, u64) = (0x8000, 0x9000);
pub(in crate::read) const SP: u64 = 0x8f00;

pub(in crate::read) fn layout() -> Layout {
    let release = Release::parse("go1.26.1").unwrap();
    Layout::from_source(&table::lookup(&release, Arch::Amd64).unwrap()).unwrap()
}

/// The record of a goroutine that waits in a function at 0x2000.
pub(in crate::read) fn record(status: u32, change: impl FnOnce(&G, &mut Vec<u8>)) -> Vec<u8> {
    let g = layout().g;
    let mut bytes = vec![0; usize::try_from(g.size).unwrap()];
    let words = [
        (g.goid, 7),
        (g.stack_lo, STACK.0),
        (g.stack_hi, STACK.1),
        (g.sched_pc, 0x2001),
        (g.sched_sp, SP),
        (g.startpc, 0x2000),
        (g.waitsince, 99),
    ];
    for (at, word) in words {
        put(&mut bytes, at, word);
    }
    let at = usize::try_from(g.atomicstatus).unwrap();
    bytes[at..at + 4].copy_from_slice(&status.to_le_bytes());
    bytes[usize::try_from(g.waitreason).unwrap()] = 2;
    change(&g, &mut bytes);
    bytes
}

pub(in crate::read) fn put(bytes: &mut [u8], at: u32, word: u64) {
    let at = usize::try_from(at).unwrap();
    bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

/// Memory in which something is otherwise from the n-th read on.
pub(in crate::read) struct Changing<F> {
    pub(in crate::read) memory: RefCell<LiteralMemory>,
    pub(in crate::read) reads: Cell<usize>,
    pub(in crate::read) change: F,
}

impl<F: Fn(usize, &mut LiteralMemory)> Memory for Changing<F> {
    fn read_many(&self, spans: &[Span], into: &mut [u8]) -> Result<(), MemoryError> {
        self.reads.set(self.reads.get() + 1);
        (self.change)(self.reads.get(), &mut self.memory.borrow_mut());
        self.memory.borrow().read_many(spans, into)
    }
}

pub(in crate::read) fn functions() -> Functions {
    let mut functions = Functions::with_goexit();
    functions.add(0x2000, 0);
    functions
}

pub(in crate::read) fn memory(record: Vec<u8>) -> LiteralMemory {
    let mut memory = LiteralMemory::default();
    memory.put(RECORD, record);
    let mut stack = vec![0; usize::try_from((STACK.1 - SP) / 8).unwrap()];
    stack[0] = 0x1001;
    memory.put_words(SP, &stack);
    memory
}

fn scan(memory: &impl Memory, code: &mut Functions) -> Vec<(Seen, usize)> {
    scan_with(memory, code, None).into_iter().map(|(seen, steps)| (seen, steps.len())).collect()
}

pub(in crate::read) fn scan_with(
    memory: &impl Memory,
    code: &mut Functions,
    sampler: Option<&mut dyn Sampler>,
) -> Vec<(Seen, Vec<Step>)> {
    let layout = layout();
    let mut seen = Vec::new();
    let mut scan = StackScan {
        memory,
        decoder: Decoder {
            layout: &layout.g,
            wait_reasons: layout.wait_reasons,
            finalizer_wait: None,
            start: &mut |_| Start::User,
        },
        thread: &layout.m,
        coroutine: Some(3),
        walker: &mut Walker::new(Arch::Amd64),
        code,
        visit: &mut |goroutine, steps| seen.push((*goroutine, steps.to_vec())),
        samples: sampler.is_some(),
        running: Vec::new(),
    };
    let mut buffer = StackBuffer::default();
    scan.take(&[ProcessAddress(RECORD)], &mut buffer).unwrap();
    if let Some(sampler) = sampler {
        scan.sample(sampler, &mut buffer).unwrap();
    }
    seen
}

/// The one goroutine: how the walk ended, over how many calls, and whether it is torn.
fn only(memory: &impl Memory) -> (Option<End>, usize, bool) {
    let seen = scan(memory, &mut functions());
    let [(goroutine, steps)] = seen[..] else { panic!("{seen:?}") };
    assert_eq!(goroutine.goroutine.goid, 7);
    (goroutine.end, steps, goroutine.torn)
}

#[test]
fn one_that_waits_has_a_stack() {
    let memory = memory(record(4, |_, _| ()));
    assert_eq!(only(&memory), (Some(End::Whole), 2, false));
    let (seen, _) = scan(&memory, &mut functions())[0];
    assert_eq!((seen.since, seen.thread, seen.locked), (99, None, false));
}

#[test]
fn one_that_runs_has_a_thread_and_no_stack() {
    let mut memory = memory(record(2, |g, bytes| {
        put(bytes, g.m, 0x20_0000);
        put(bytes, g.lockedm, 0x20_0000);
    }));
    memory.put_words(0x20_0000 + u64::from(layout().m.procid), &[4242]);
    let (seen, steps) = scan(&memory, &mut functions())[0];
    assert_eq!((seen.thread, seen.end, seen.torn, steps), (Some(4242), None, false, 0));
    assert!(seen.locked);
}

#[test]
fn what_is_no_goroutine_is_left_out() {
    assert_eq!(scan(&memory(record(6, |_, _| ())), &mut functions()), []);
    assert_eq!(scan(&LiteralMemory::default(), &mut functions()), []);
}

#[test]
fn in_a_system_call_what_was_saved_for_it_counts() {
    let memory = memory(record(3, |g, bytes| {
        put(bytes, g.sched_pc, 0x9999);
        put(bytes, g.syscallpc, 0x2001);
        put(bytes, g.syscallsp, SP);
    }));
    assert_eq!(only(&memory), (Some(End::Whole), 2, false));
}

#[test]
fn one_that_ran_once_is_read_again() {
    let ran = record(4, |g, bytes| bytes[usize::try_from(g.tracking_seq).unwrap()] = 1);
    let memory = Changing {
        memory: RefCell::new(memory(record(4, |_, _| ()))),
        reads: Cell::new(0),
        change: |read, memory: &mut LiteralMemory| {
            if read == 2 {
                memory.put(RECORD, ran.clone());
            }
        },
    };
    assert_eq!(only(&memory), (Some(End::Whole), 2, false));
}

#[test]
fn one_that_runs_all_the_time_is_torn() {
    let memory = Changing {
        memory: RefCell::new(memory(record(4, |_, _| ()))),
        reads: Cell::new(0),
        change: |read, memory: &mut LiteralMemory| {
            memory.put(
                RECORD,
                record(4, |g, bytes| {
                    bytes[usize::try_from(g.tracking_seq).unwrap()] =
                        u8::try_from(read % 256).unwrap();
                }),
            );
        },
    };
    assert_eq!(only(&memory), (None, 0, true));
}

/// A coroutine: its record never tells that it ran.
#[test]
fn where_the_record_tells_nothing_the_stack_must_be_the_same_twice() {
    let mut code = functions();
    code.add(0x3000, 0);
    let coroutine = record(4, |g, bytes| bytes[usize::try_from(g.waitreason).unwrap()] = 3);
    let changing = |calm_from| Changing {
        memory: RefCell::new(memory(coroutine.clone())),
        reads: Cell::new(0),
        change: move |read, memory: &mut LiteralMemory| {
            let mut stack = vec![0; usize::try_from((STACK.1 - SP) / 8).unwrap()];
            let deeper = read < calm_from && read % 6 < 3;
            let calls: &[u64] = if deeper { &[0x3001, 0x1001] } else { &[0x1001] };
            stack[..calls.len()].copy_from_slice(calls);
            memory.put_words(SP, &stack);
        },
    };
    let mut end = |calm_from| {
        let seen = scan(&changing(calm_from), &mut code);
        seen.iter().map(|(seen, steps)| (seen.end, *steps, seen.torn)).collect::<Vec<_>>()
    };
    assert_eq!(end(1000), [(None, 0, true)]);
    assert_eq!(end(10), [(Some(End::Whole), 2, false)]);
}

#[test]
fn a_stack_that_is_moved_is_read_again() {
    let moving = record(8, |_, _| ());
    let memory = Changing {
        memory: RefCell::new(memory(moving)),
        reads: Cell::new(0),
        change: |read, memory: &mut LiteralMemory| {
            if read == 4 {
                memory.put(RECORD, record(4, |_, _| ()));
            }
        },
    };
    assert_eq!(only(&memory), (Some(End::Whole), 2, false));
}

#[test]
fn a_stack_that_cannot_be_read_is_lost() {
    let mut memory = LiteralMemory::default();
    memory.put(RECORD, record(4, |_, _| ()));
    assert_eq!(only(&memory), (Some(End::Lost), 1, false));
    // Its pointer is not on it.
    let memory = self::memory(record(4, |g, bytes| put(bytes, g.sched_sp, STACK.1)));
    assert_eq!(only(&memory), (None, 0, true));
}

#[test]
fn a_deep_stack_is_read_piece_by_piece() {
    let deep = 200_000;
    let lo = 0x40_0000;
    let mut memory = memory(record(4, |g, bytes| {
        put(bytes, g.stack_lo, lo);
        put(bytes, g.stack_hi, lo + deep);
        put(bytes, g.sched_sp, lo);
    }));
    let mut words = vec![0x2001; usize::try_from(deep / 8).unwrap()];
    words[9000] = 0x1001;
    memory.put_words(lo, &words);
    assert_eq!(only(&memory), (Some(End::Whole), 9002, false));
}
