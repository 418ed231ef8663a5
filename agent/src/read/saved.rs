//! What a goroutine's record keeps for the time when it does not run: where it goes on, and on
//! which stack.

use super::{
    goroutine::{MAX_STACK, State, Status},
    layout::records::G,
    memory::Bytes,
    stack::From,
};
use crate::inspect::address::ProcessAddress;

/// The part of a record that stays as it is while the goroutine does not run and its stack is not
/// moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Saved {
    pub(super) goid: u64,
    pub(super) state: State,
    pub(super) stack_lo: u64,
    pub(super) stack_hi: u64,
    pc: u64,
    sp: u64,
    bp: u64,
    lr: u64,
    syscallpc: u64,
    syscallsp: u64,
    /// Goes up, modulo 256, each time it stops running.
    tracking_seq: u8,
}

/// What else the record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Details {
    /// The thread that it is on: its `m`.
    pub(super) thread: Option<ProcessAddress>,
    /// It is locked to a thread.
    pub(super) locked: bool,
    /// Since when it waits or is in a system call; 0 where that is not noted.
    pub(super) since: u64,
    /// It belongs to a bubble of package synctest (from 1.25).
    pub(super) in_bubble: bool,
}

impl Saved {
    /// Reads a record; `None` for one of no goroutine.
    pub(super) fn parse(g: &G, record: Bytes<'_>) -> Option<Self> {
        let Status::Live(state) = Status::parse(record.u32(g.atomicstatus)?)? else { return None };
        Some(Self {
            goid: record.u64(g.goid)?,
            state,
            stack_lo: record.u64(g.stack_lo)?,
            stack_hi: record.u64(g.stack_hi)?,
            pc: record.u64(g.sched_pc)?,
            sp: record.u64(g.sched_sp)?,
            bp: record.u64(g.sched_bp)?,
            lr: record.u64(g.sched_lr)?,
            syscallpc: record.u64(g.syscallpc)?,
            syscallsp: record.u64(g.syscallsp)?,
            tracking_seq: record.u8(g.tracking_seq)?,
        })
    }

    /// Where its stack is walked from, as the runtime does; `None` where that makes no sense.
    pub(super) fn from(&self) -> Option<From> {
        let from = if self.syscallsp != 0 {
            From { pc: self.syscallpc, sp: self.syscallsp, lr: 0, in_syscall: true }
        } else {
            From { pc: self.pc, sp: self.sp, lr: self.lr, in_syscall: false }
        };
        let size = self.stack_hi.checked_sub(self.stack_lo)?;
        let on_stack = (self.stack_lo..self.stack_hi).contains(&from.sp);
        (on_stack && size <= MAX_STACK && from.sp.is_multiple_of(8)).then_some(from)
    }
}

impl Details {
    pub(super) fn parse(g: &G, record: Bytes<'_>) -> Option<Self> {
        let bubble = match g.bubble {
            Some(offset) => record.u64(offset)?,
            None => 0,
        };
        let thread = ProcessAddress(record.u64(g.m)?);
        Some(Self {
            thread: (thread.0 != 0).then_some(thread),
            locked: record.u64(g.lockedm)? != 0,
            since: u64::try_from(record.i64(g.waitsince)?).unwrap_or(0),
            in_bubble: bubble != 0,
        })
    }
}
