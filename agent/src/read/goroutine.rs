//! One goroutine, as the runtime's record of it says.

use super::{
    layout::records::G,
    memory::Bytes,
    system_goroutine::{Start, is_system},
};
use crate::inspect::address::ProcessAddress;

/// The scheduler's states of a goroutine that exists.
/// <https://github.com/golang/go/blob/go1.26.0/src/runtime/runtime2.go> (`_Gidle` and following)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// On a run queue.
    Runnable,
    /// Runs Go code.
    Running,
    /// In a system call or a call to C.
    Syscall,
    /// Waits for something: the wait reason says what.
    Waiting,
    /// Its stack is being moved.
    CopyStack,
    /// Stopped itself so that its stack can be scanned.
    Preempted,
    /// Found by the runtime's own leak detection (from 1.26).
    Leaked,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Runnable,
        Self::Running,
        Self::Syscall,
        Self::Waiting,
        Self::CopyStack,
        Self::Preempted,
        Self::Leaked,
    ];

    /// The runtime's word for it, as in Go's goroutine dump.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runnable => "runnable",
            Self::Running => "running",
            Self::Syscall => "syscall",
            Self::Waiting => "waiting",
            Self::CopyStack => "copystack",
            Self::Preempted => "preempted",
            Self::Leaked => "leaked",
        }
    }
}

/// The bit that says that the collector scans the goroutine's stack just now.
const SCAN: u32 = 0x1000;

/// A status word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// A goroutine in this state.
    Live(State),
    /// No goroutine: the record is new, waits to be used again, or belongs to an idle thread for
    /// calls from C.
    Free,
}

impl Status {
    /// Reads a status word; `None` for one that no release has.
    pub(super) fn parse(word: u32) -> Option<Self> {
        Some(match word & !SCAN {
            0 | 6 | 11 => Self::Free,
            1 => Self::Live(State::Runnable),
            2 => Self::Live(State::Running),
            3 => Self::Live(State::Syscall),
            4 => Self::Live(State::Waiting),
            8 => Self::Live(State::CopyStack),
            9 => Self::Live(State::Preempted),
            10 => Self::Live(State::Leaked),
            _ => return None,
        })
    }
}

/// A goroutine that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goroutine {
    /// Where its record is. Records are used again: it names a goroutine only while that exists.
    pub record: ProcessAddress,
    /// Its number.
    pub goid: u64,
    /// Number of the goroutine that created it (from 1.21).
    pub parent_goid: Option<u64>,
    /// Its state.
    pub state: State,
    /// What it waits for, by the target's own numbers; 0 unless it waits.
    pub wait_reason: u8,
    /// Since when it waits, on the target's monotonic clock, in nanoseconds; 0 where the runtime
    /// has not noted it (it does so when it collects garbage).
    pub wait_since: u64,
    /// Behind the `go` statement that created it.
    pub created_at: ProcessAddress,
    /// The function it was started with.
    pub start: ProcessAddress,
    /// Size of its stack in bytes.
    pub stack_bytes: u64,
    /// Goes up, modulo 256, each time it stops running.
    pub tracking_seq: u8,
    /// Where it goes on when it runs again; meaningless while it runs.
    pub pc: ProcessAddress,
    /// Its stack pointer; likewise.
    pub sp: ProcessAddress,
    /// It is one of the runtime's own.
    pub system: bool,
}

/// What a record says, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Live(Goroutine),
    Free,
    /// No release writes such a record; it was caught half written, or is something else.
    Impossible,
}

/// What is needed to read records.
pub(super) struct Decoder<'a> {
    pub(super) layout: &'a G,
    /// Number of wait reasons.
    pub(super) wait_reasons: u32,
    /// The number of the finalizer goroutine's reason to be idle, where the names are known.
    pub(super) finalizer_wait: Option<u8>,
    /// What the function at an address means.
    pub(super) start: &'a mut dyn FnMut(ProcessAddress) -> Start,
}

/// The largest stack there can be: `runtime.maxstackceiling` of a 64-bit system.
/// <https://github.com/golang/go/blob/go1.26.0/src/runtime/proc.go> (`main`)
pub(super) const MAX_STACK: u64 = 2_000_000_000;

impl Decoder<'_> {
    /// Reads the record at an address.
    pub(super) fn decode(&mut self, at: ProcessAddress, record: &[u8]) -> Decoded {
        self.fields(at, Bytes(record)).unwrap_or(Decoded::Impossible)
    }

    fn fields(&mut self, at: ProcessAddress, record: Bytes<'_>) -> Option<Decoded> {
        let g = self.layout;
        let Status::Live(state) = Status::parse(record.u32(g.atomicstatus)?)? else {
            return Some(Decoded::Free);
        };
        let wait_reason = match state {
            State::Waiting => record.u8(g.waitreason)?,
            _ => 0,
        };
        let known = (1..self.wait_reasons).contains(&u32::from(wait_reason));
        if state == State::Waiting && !known {
            return None;
        }
        let stack_bytes = record.u64(g.stack_hi)?.checked_sub(record.u64(g.stack_lo)?)?;
        if stack_bytes > MAX_STACK {
            return None;
        }
        let start = ProcessAddress(record.u64(g.startpc)?);
        let running_cleanups = match g.running_cleanups {
            Some(offset) => record.u8(offset)? != 0,
            None => false,
        };
        let idle = state == State::Waiting
            && self.finalizer_wait.is_none_or(|finalizer_wait| finalizer_wait == wait_reason);
        let wait_since = match state {
            State::Waiting => u64::try_from(record.i64(g.waitsince)?).unwrap_or(0),
            _ => 0,
        };
        let parent_goid = match g.parent_goid {
            Some(offset) => Some(record.u64(offset)?),
            None => None,
        };
        Some(Decoded::Live(Goroutine {
            record: at,
            goid: record.u64(g.goid)?,
            parent_goid,
            state,
            wait_reason,
            wait_since,
            created_at: ProcessAddress(record.u64(g.gopc)?),
            start,
            stack_bytes,
            tracking_seq: record.u8(g.tracking_seq)?,
            pc: ProcessAddress(record.u64(g.sched_pc)?),
            sp: ProcessAddress(record.u64(g.sched_sp)?),
            system: is_system((self.start)(start), idle, running_cleanups),
        }))
    }
}
