//! Walks over stacks that are literals.

use std::collections::BTreeMap;

use super::*;

/// Functions by where they begin; all of their code has the same frame size.
#[derive(Default)]
pub(in crate::read) struct Functions(BTreeMap<u64, (u64, Spot)>);

impl Functions {
    pub(in crate::read) fn add(&mut self, entry: u64, frame_size: u32) -> &mut Spot {
        let spot = Spot {
            entry: ProcessAddress(entry),
            frame_size: Some(frame_size),
            has_frame_sizes: true,
            is_outermost: false,
            moves_stack: false,
            is_injected: false,
            calls: None,
        };
        &mut self.0.entry(entry).or_insert((entry + 0x100, spot)).1
    }

    /// `goexit`, which all goroutines begin with.
    pub(in crate::read) fn with_goexit() -> Self {
        let mut functions = Self::default();
        functions.add(0x1000, 0).is_outermost = true;
        functions
    }
}

impl Code for Functions {
    fn at(&mut self, pc: ProcessAddress) -> Option<Spot> {
        let (_, (end, spot)) = self.0.range(..=pc.0).next_back()?;
        (pc.0 < *end).then_some(*spot)
    }
}

/// A stack that begins at 0x8000.
struct Stack<'a>(&'a [u64]);

impl Words for Stack<'_> {
    fn word(&mut self, at: u64) -> Result<Option<u64>, MemoryError> {
        let index = at.checked_sub(0x8000).map(|into| usize::try_from(into / 8).unwrap());
        Ok(index.and_then(|index| self.0.get(index).copied()))
    }
}

fn walk_with(
    walker: &mut Walker,
    functions: &mut Functions,
    from: From,
    stack: &[u64],
) -> (End, Vec<(u64, bool)>) {
    let mut steps = Vec::new();
    let end = walker.walk(from, functions, &mut Stack(stack), &mut steps).unwrap();
    (end, steps.iter().map(|step| (step.pc.0, step.interrupted)).collect())
}

fn walk(functions: &mut Functions, pc: u64, stack: &[u64]) -> (End, Vec<(u64, bool)>) {
    let from = From { pc, sp: 0x8000, lr: 0, in_syscall: false };
    walk_with(&mut Walker::new(Arch::Amd64), functions, from, stack)
}

fn called(pcs: &[u64]) -> Vec<(u64, bool)> {
    pcs.iter().map(|pc| (*pc, false)).collect()
}

#[test]
fn frames_are_as_large_as_the_table_says() {
    let mut functions = Functions::with_goexit();
    functions.add(0x2000, 16);
    functions.add(0x3000, 0);
    // Two words of the one's own, its return address, that of the other.
    let stack = [7, 7, 0x3010, 0x1001];
    let expected = (End::Whole, called(&[0x2020, 0x3010, 0x1001]));
    assert_eq!(walk(&mut functions, 0x2020, &stack), expected);
}

#[test]
fn one_that_has_not_run_stands_at_its_entry() {
    let mut functions = Functions::with_goexit();
    functions.add(0x3000, 0);
    let (end, steps) = walk(&mut functions, 0x3000, &[0x1001]);
    assert_eq!((end, steps), (End::Whole, called(&[0x3000, 0x1001])));
    let at = |pc, interrupted| {
        let step = Step { pc: ProcessAddress(pc), entry: ProcessAddress(0x3000), interrupted };
        step.symbol_pc().0
    };
    assert_eq!((at(0x3000, false), at(0x3005, false), at(0x3005, true)), (0x3000, 0x3004, 0x3005));
}

#[test]
fn what_a_signal_interrupted_did_not_call() {
    let mut functions = Functions::with_goexit();
    functions.add(0x2000, 8).is_injected = true;
    // What stands before the interrupted instruction may be a call of anything.
    functions.add(0x3000, 0).calls = Some(ProcessAddress(0x5000));
    let mut walker = Walker::new(Arch::Amd64);
    let from = From { pc: 0x2001, sp: 0x8000, lr: 0, in_syscall: false };
    let walked = walk_with(&mut walker, &mut functions, from, &[7, 0x3007, 0x1001]);
    let steps = vec![(0x2001, false), (0x3007, true), (0x1001, false)];
    assert_eq!(walked, (End::Whole, steps));
    assert!(walker.is_plausible());
}

#[test]
fn one_that_moves_the_stack_ends_the_walk_except_in_a_system_call() {
    let mut functions = Functions::with_goexit();
    functions.add(0x2000, 0).moves_stack = true;
    let mut from = From { pc: 0x2001, sp: 0x8000, lr: 0, in_syscall: false };
    let mut walker = Walker::new(Arch::Amd64);
    let mut walk = |from| walk_with(&mut walker, &mut functions, from, &[0x1001]);
    assert_eq!(walk(from), (End::Whole, called(&[0x2001])));
    from.in_syscall = true;
    assert_eq!(walk(from), (End::Whole, called(&[0x2001, 0x1001])));
}

#[test]
fn a_function_that_is_not_called_there_is_odd_until_it_is_known() {
    let mut functions = Functions::with_goexit();
    functions.add(0x2000, 0);
    functions.add(0x3000, 0).calls = Some(ProcessAddress(0x4000));
    let mut walker = Walker::new(Arch::Amd64);
    let from = From { pc: 0x2001, sp: 0x8000, lr: 0, in_syscall: false };
    for plausible in [false, true] {
        let (end, _) = walk_with(&mut walker, &mut functions, from, &[0x3001, 0x1001]);
        assert_eq!((end, walker.is_plausible()), (End::Whole, plausible));
        walker.learn();
    }
}

#[test]
fn a_walk_ends_where_there_is_nothing() {
    let mut functions = Functions::with_goexit();
    functions.add(0x2000, 0);
    functions.add(0x3000, 0).frame_size = None;
    functions.add(0x4000, u32::MAX);
    functions.add(0x5000, 0).has_frame_sizes = false;
    for (pc, stack, expected) in [
        (0x9999, &[][..], (End::Lost, vec![])),
        (0x2001, &[], (End::Lost, called(&[0x2001]))),
        (0x2001, &[0x9999], (End::Lost, called(&[0x2001]))),
        (0x2001, &[0], (End::Whole, called(&[0x2001]))),
        (0x3001, &[0x1001], (End::Lost, called(&[0x3001]))),
        (0x4001, &[0x1001], (End::Lost, called(&[0x4001]))),
        (0x2001, &[0x5001], (End::Whole, called(&[0x2001]))),
    ] {
        assert_eq!(walk(&mut functions, pc, stack), expected, "{pc:#x} {stack:x?}");
    }
}

#[test]
fn a_stack_without_end_is_given_up() {
    let mut functions = Functions::with_goexit();
    functions.add(0x2000, 0);
    let (end, steps) = walk(&mut functions, 0x2001, &vec![0x2001; MAX_FRAMES * 2]);
    assert_eq!((end, steps.len()), (End::TooDeep, MAX_FRAMES));
}

#[test]
fn on_arm64_the_return_address_is_in_a_register_first() {
    let mut functions = Functions::with_goexit();
    functions.add(0x2000, 0);
    functions.add(0x3000, 16);
    functions.add(0x4000, 16).is_injected = true;
    let mut walker = Walker::new(Arch::Arm64);
    let mut walk = |pc, lr, stack: &[u64]| {
        let from = From { pc, sp: 0x8000, lr, in_syscall: false };
        walk_with(&mut walker, &mut functions, from, stack)
    };
    // Without a frame of its own, then with one, which has it at its lower end.
    let expected = (End::Whole, called(&[0x2004, 0x3004, 0x1004]));
    assert_eq!(walk(0x2004, 0x3004, &[0x1004, 7]), expected);
    assert_eq!(walk(0x3004, 0x9999, &[0x1004, 7]), (End::Whole, called(&[0x3004, 0x1004])));
    // A signal: what was in the register is on the stack, above it the function goes on.
    let steps = vec![(0x4004, false), (0x2004, true), (0x1004, false)];
    assert_eq!(walk(0x4004, 0, &[0x2004, 7, 0x1004, 7]), (End::Whole, steps));
}
