//! Walking a goroutine's stack, as the runtime itself does: by the table of frame sizes that the
//! linker left in the binary. Frame pointers would need no table, but they skip a call in prologues
//! and in assembly without a frame, and goroutines do stop there.
//!
//! `unwinder` in <https://github.com/golang/go/blob/go1.26.0/src/runtime/traceback.go>, and
//! `gentraceback` of the releases before 1.21.

use std::collections::HashSet;

use super::{memory::MemoryError, release::Arch};
use crate::inspect::{
    Activation,
    address::{LoadBias, ProcessAddress},
};

/// The deepest stack that is followed, in frames.
pub const MAX_FRAMES: usize = 10_000;
/// Calls that are remembered although the code does not show who is called.
const MAX_KNOWN: usize = 65_536;
/// Where the function that a signal was taken in goes on, above the pair that the handler of
/// signals saved on arm64 (`sys.StackAlign`).
const ARM64_SAVED: u64 = 16;

/// What a walk has to know of the code at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Where the function begins.
    pub entry: ProcessAddress,
    frame_size: Option<u32>,
    has_frame_sizes: bool,
    is_outermost: bool,
    moves_stack: bool,
    /// It was put onto the stack by a signal: what is below was interrupted, and did not call.
    is_injected: bool,
    calls: Option<ProcessAddress>,
}

impl Spot {
    /// Of what the binary tells; `None` where the addresses do not fit.
    #[must_use]
    pub fn of(activation: &Activation, bias: LoadBias) -> Option<Self> {
        let is_injected = matches!(
            activation.name.as_str(),
            "runtime.sigpanic" | "runtime.asyncPreempt" | "runtime.debugCallV2"
        );
        Some(Self {
            entry: activation.entry.in_process(bias)?,
            frame_size: activation.frame_size,
            has_frame_sizes: activation.has_frame_sizes,
            is_outermost: activation.is_outermost,
            // It does so with both stacks kept fit to be walked.
            moves_stack: activation.moves_stack && activation.name != "runtime.cgocallback",
            is_injected,
            calls: activation.calls.and_then(|at| at.in_process(bias)),
        })
    }

    /// That it does move to another stack.
    #[cfg(test)]
    pub(super) fn moves_stack(&mut self) {
        self.moves_stack = true;
    }

    /// Whether a goroutine's stack begins with it.
    pub(super) fn is_outermost(&self) -> bool {
        self.is_outermost
    }

    /// Whether a walk can begin where the function was interrupted: not in one that is moving from
    /// one stack to another just then.
    pub(super) fn can_begin(&self) -> bool {
        self.has_frame_sizes && !self.moves_stack
    }
}

/// The code of a process.
pub trait Code {
    /// What there is at an address; `None` where it is in no function of Go. It is asked for the
    /// same addresses again and again.
    fn at(&mut self, pc: ProcessAddress) -> Option<Spot>;
}

/// Words of a stack.
pub(super) trait Words {
    /// The word at an address; `Ok(None)` where that is not on the stack.
    ///
    /// # Errors
    /// Where the memory cannot be read.
    fn word(&mut self, at: u64) -> Result<Option<u64>, MemoryError>;
}

/// A call on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// Where it goes on.
    pub pc: ProcessAddress,
    /// Where the function begins that holds it.
    pub entry: ProcessAddress,
    /// It was interrupted there: the instruction at `pc` comes next, and the one before it is no
    /// call.
    pub interrupted: bool,
}

impl Step {
    /// The address that tells the line: of the call, not behind it (`symPC`).
    #[must_use]
    pub fn symbol_pc(&self) -> ProcessAddress {
        match self.interrupted || self.pc <= self.entry {
            true => self.pc,
            false => ProcessAddress(self.pc.0.saturating_sub(1)),
        }
    }
}

/// Where a stack is walked from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct From {
    /// Where the innermost function goes on.
    pub pc: u64,
    /// The stack pointer there.
    pub sp: u64,
    /// The link register there, on arm64; 0 for none.
    pub lr: u64,
    /// It is in a system call.
    pub in_syscall: bool,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where the runtime's own walk ends.
    Whole,
    /// There is more.
    TooDeep,
    /// What should be the next call is none.
    Lost,
}

/// Walks stacks.
#[derive(Debug)]
pub(super) struct Walker {
    arch: Arch,
    /// Pairs of a function and a return address that belong together although the code shows
    /// another function called there: it jumped on to this one.
    known: HashSet<(ProcessAddress, ProcessAddress)>,
    /// Such pairs of the last walk that were not known.
    odd: Vec<(ProcessAddress, ProcessAddress)>,
}

impl Walker {
    /// For processes of an architecture.
    #[must_use]
    pub(super) fn new(arch: Arch) -> Self {
        Self { arch, known: HashSet::new(), odd: Vec::new() }
    }

    /// Whether each call of the last walk was one that the code makes there, as far as it shows.
    #[must_use]
    pub(super) fn is_plausible(&self) -> bool {
        self.odd.is_empty()
    }

    /// The calls of the last walk are what the program does.
    pub(super) fn learn(&mut self) {
        if self.known.len() + self.odd.len() <= MAX_KNOWN {
            self.known.extend(self.odd.drain(..));
        }
    }

    /// Walks a stack; `steps` then has the calls, the innermost first.
    ///
    /// # Errors
    /// Where the memory cannot be read.
    pub(super) fn walk(
        &mut self,
        from: From,
        code: &mut dyn Code,
        words: &mut dyn Words,
        steps: &mut Vec<Step>,
    ) -> Result<End, MemoryError> {
        steps.clear();
        self.odd.clear();
        let slot = match self.arch {
            Arch::Amd64 => 8,
            Arch::Arm64 => 0,
        };
        let From { mut pc, mut sp, mut lr, in_syscall } = from;
        let mut interrupted = false;
        let Some(mut spot) = code.at(ProcessAddress(pc)) else { return Ok(End::Lost) };
        loop {
            if !spot.has_frame_sizes {
                return Ok(End::Whole);
            }
            let innermost = steps.is_empty();
            steps.push(Step { pc: ProcessAddress(pc), entry: spot.entry, interrupted });
            if spot.is_outermost || spot.moves_stack && !(innermost && in_syscall) {
                return Ok(End::Whole);
            }
            if steps.len() >= MAX_FRAMES {
                return Ok(End::TooDeep);
            }
            // Where the caller's part of the stack begins.
            let frame = spot.frame_size.and_then(|size| sp.checked_add(u64::from(size) + slot));
            let Some(caller_sp) = frame else { return Ok(End::Lost) };
            let return_at = match self.arch {
                Arch::Amd64 => Some(caller_sp.saturating_sub(8)),
                Arch::Arm64 => (lr == 0 || innermost && sp < caller_sp).then_some(sp),
            };
            let caller = match return_at {
                Some(at) => words.word(at)?,
                None => Some(lr),
            };
            let Some(caller) = caller else { return Ok(End::Lost) };
            if caller == 0 {
                return Ok(End::Whole);
            }
            let Some(mut next) = code.at(ProcessAddress(caller)) else { return Ok(End::Lost) };
            if caller == pc && caller_sp == sp {
                return Ok(End::Lost);
            }
            let edge = (spot.entry, ProcessAddress(caller));
            let differs = next.calls.is_some_and(|called| called != spot.entry);
            if differs && !spot.is_injected && !next.is_outermost && !self.known.contains(&edge) {
                self.odd.push(edge);
            }
            interrupted = spot.is_injected;
            (pc, sp, lr) = (caller, caller_sp, 0);
            if interrupted && self.arch == Arch::Arm64 {
                let Some(saved) = words.word(sp)? else { return Ok(End::Lost) };
                sp = sp.saturating_add(ARM64_SAVED);
                if next.frame_size == Some(0) {
                    lr = saved;
                }
            }
            std::mem::swap(&mut spot, &mut next);
        }
    }
}

#[cfg(test)]
pub(in crate::read) mod tests;
