//! Goroutines that run, in literal memory, and made-up samples of their threads.

use std::cell::{Cell, RefCell};

use super::*;
use crate::read::{
    layout::records::G,
    memory::literal::LiteralMemory,
    stack::{Step, tests::Functions},
    stack_scan::{
        Seen,
        tests::{
            Changing, RECORD, SP, STACK as BOUNDS, functions, layout, memory, put, record,
            scan_with,
        },
    },
};

const M: u64 = 0x20_0000;
const THREAD: u32 = 4242;

/// A thread that shows these, one at each look.
struct Made(Vec<Sample>);

impl Sampler for Result<Made, SampleError> {
    fn begin(&mut self, thread: u32, stack: usize) -> Result<Box<dyn Sampled>, SampleError> {
        assert_eq!((thread, stack % 8), (THREAD, 0));
        self.as_ref().map_err(|error| *error)?;
        let samples = self.as_mut().map(|made| std::mem::take(&mut made.0)).unwrap_or_default();
        Ok(Box::new(Made(samples)))
    }
}

impl Sampled for Made {
    fn next(&mut self) -> Option<Sample> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }
}

/// Memory with a goroutine that runs.
fn running(status: u32) -> LiteralMemory {
    let mut memory = memory(record(status, |g, bytes| put(bytes, g.m, M)));
    memory.put_words(M + u64::from(layout().m.procid), &[u64::from(THREAD)]);
    memory
}

/// A sample of it, in a function at 0x2000.
fn sample() -> Sample {
    let stack = [0x1001_u64, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    Sample { pc: 0x2004, sp: SP, lr: 0, goroutine: RECORD, stack }
}

fn seen(memory: &impl Memory, code: &mut Functions, samples: &[Sample]) -> (Seen, Vec<Step>) {
    let mut sampler = Ok(Made(samples.to_vec()));
    let mut seen = scan_with(memory, code, Some(&mut sampler));
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

#[test]
fn a_sample_is_the_stack() {
    let (seen, steps) = seen(&running(2), &mut functions(), &[sample()]);
    assert_eq!((seen.end, seen.sampled, seen.torn), (Some(End::Whole), true, false));
    assert_eq!((seen.unsampled, seen.thread), (None, Some(THREAD)));
    let told: Vec<_> = steps.iter().map(|step| (step.symbol_pc().0, step.interrupted)).collect();
    // Nothing was called where it was interrupted.
    assert_eq!(told, [(0x2004, true), (0x1000, false)]);
}

#[test]
fn samples_of_others_are_passed_over() {
    let mut code = functions();
    code.add(0x3000, 0).moves_stack();
    let others = [
        // On the thread's own stack, and in another goroutine.
        Sample { sp: 0x7fff_0000, ..sample() },
        Sample { goroutine: 0x30_0000, ..sample() },
        Sample { sp: SP + 4, ..sample() },
        Sample { sp: BOUNDS.1, ..sample() },
        // Below a function that is about to change the stack.
        Sample {
            stack: [0x3001_u64, 0].iter().flat_map(|w| w.to_le_bytes()).collect(),
            ..sample()
        },
        // In no function of Go, and in one that is about to change the stack.
        Sample { pc: 0x9999, ..sample() },
        Sample { pc: 0x3004, ..sample() },
        // What should be the next call is none.
        Sample { stack: 0x9999_u64.to_le_bytes().repeat(100), ..sample() },
    ];
    let (none, steps) = seen(&running(2), &mut code, &others);
    assert_eq!((none.end, none.sampled, steps.len()), (None, false, 0));
    assert!(!none.torn && none.unsampled.is_some());
    let mut all = others.to_vec();
    all.push(sample());
    assert!(seen(&running(2), &mut code, &all).0.sampled);
}

#[test]
fn a_stack_that_was_not_copied_to_its_end_is_told_so() {
    let mut memory = running(2);
    let deep = |g: &G, bytes: &mut Vec<u8>| {
        put(bytes, g.m, M);
        put(bytes, g.stack_hi, SP + (100 << 10));
    };
    memory.put(RECORD, record(2, deep));
    let copied = |bytes: usize| {
        let stack = 0x2001_u64.to_le_bytes().repeat(bytes / 8);
        seen(&memory, &mut functions(), &[Sample { stack, ..sample() }])
    };
    let (told, steps) = copied(LARGEST);
    assert_eq!((told.end, told.sampled, steps.len()), (Some(End::TooDeep), true, LARGEST / 8 + 1));
    // It was smaller when it was asked for.
    assert!(!copied(SMALLEST).0.sampled);
}

#[test]
fn a_record_that_is_another_goroutines_now_has_not_its_stack() {
    let other = record(6, |g, bytes| put(bytes, g.goid, 8));
    let memory = Changing {
        memory: RefCell::new(running(2)),
        reads: Cell::new(0),
        change: |read, memory: &mut LiteralMemory| {
            if read == 3 {
                memory.put(RECORD, other.clone());
            }
        },
    };
    let mut sampler = Ok(Made(vec![sample()]));
    assert_eq!(scan_with(&memory, &mut functions(), Some(&mut sampler)), []);
}

#[test]
fn one_that_has_stopped_running_is_read_like_any_other() {
    let stopped = record(4, |_, _| ());
    let memory = Changing {
        memory: RefCell::new(running(2)),
        reads: Cell::new(0),
        change: |read, memory: &mut LiteralMemory| {
            if read == 3 {
                memory.put(RECORD, stopped.clone());
            }
        },
    };
    let (seen, steps) = seen(&memory, &mut functions(), &[]);
    assert_eq!((seen.end, seen.sampled, steps.len()), (Some(End::Whole), false, 2));
    assert_eq!((seen.unsampled, seen.thread), (None, None));
}

#[test]
fn what_keeps_us_from_sampling_is_told() {
    let mut refused: Result<Made, SampleError> = Err(SampleError::NotPermitted);
    let seen = scan_with(&running(2), &mut functions(), Some(&mut refused));
    let why = seen.first().map(|(seen, _)| seen.unsampled);
    assert_eq!(why, Some(Some(Unsampled::Refused(SampleError::NotPermitted))));
    // A thread that has ended, and one that does not run.
    let mut gone: Result<Made, SampleError> = Err(SampleError::Gone);
    let seen = scan_with(&running(2), &mut functions(), Some(&mut gone));
    assert_eq!(seen.first().map(|(seen, _)| seen.unsampled), Some(Some(Unsampled::NoThread)));
    let (seen, _) = self::seen(&running(2), &mut functions(), &[]);
    assert_eq!(seen.unsampled, Some(Unsampled::NoTime));
    assert!(Unsampled::NoTime.to_string().contains("50 ms"));
}
