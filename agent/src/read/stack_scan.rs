//! The stacks of many goroutines: copied in batches while the program runs, and shown only where
//! nothing tells that the goroutine ran meanwhile.
//!
//! A record is read before and after its stack. If both say that the goroutine stands at the same
//! place and has not run in between, and each return address stands behind a call of the function
//! above it, the stack is that of one moment. Otherwise the goroutine is looked at again by itself,
//! up to [`ATTEMPTS`] times, and must then show the same stack twice in a row. One that never does
//! is torn.
//!
//! The second rule is there because the first has gaps: the count of runs is one byte, and switches
//! between coroutines and, from Go 1.26 on, system calls are not in it.

use std::{collections::HashMap, thread, time::Duration};

use super::{
    error::ReadError,
    goroutine::{Decoded, Decoder, Goroutine, State},
    layout::records::{G, M as Thread},
    memory::{Bytes, Memory, MemoryError, Span, read_u64},
    sampling::{Running, Unsampled},
    saved::{Details, Saved},
    stack::{Code, End, Step, Walker},
    stack_words::{Copied, Streamed},
};
use crate::inspect::address::ProcessAddress;

/// Records whose stacks are read in one go: few, so that little time passes.
const BATCH: usize = 128;
/// Bytes of a stack that are read with others; deeper ones are read by themselves.
const MAX_USED: u64 = 16 << 10;
/// How often one goroutine is looked at.
pub const ATTEMPTS: usize = 8;
/// From this look on there is a pause before it.
const PATIENT: usize = 3;
const PAUSE: Duration = Duration::from_micros(50);
/// Threads whose ids are remembered during a scan.
const MAX_THREADS: usize = 65_536;

/// A goroutine with its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What its record says.
    pub goroutine: Goroutine,
    /// How the walk over its stack ended; `None` where there was none: it runs, or it is torn.
    pub end: Option<End>,
    /// Its stack is from a sample of the thread that runs it.
    pub sampled: bool,
    /// Why it has no stack, where it runs.
    pub unsampled: Option<Unsampled>,
    /// It ran while it was looked at, each time.
    pub torn: bool,
    /// It is locked to a thread.
    pub locked: bool,
    /// It belongs to a bubble of package synctest (from Go 1.25).
    pub in_bubble: bool,
    /// Id of the thread that runs it or waits for its system call.
    pub thread: Option<u32>,
    /// Since when it waits or is in a system call, on the target's monotonic clock, in
    /// nanoseconds; 0 where that is not noted.
    pub since: u64,
}

/// Memory that is used again.
#[derive(Debug, Default)]
pub(super) struct StackBuffer {
    pub(super) records: Vec<u8>,
    after: Vec<u8>,
    pub(super) spans: Vec<Span>,
    stacks: Vec<u8>,
    piece: Vec<u8>,
    pub(super) steps: Vec<Step>,
    before: Vec<Step>,
    alone: Vec<ProcessAddress>,
    batch: Vec<Copying>,
    threads: HashMap<ProcessAddress, u32>,
}

/// A goroutine whose stack is to be copied.
#[derive(Clone, Copy, Debug)]
struct Copying {
    record: ProcessAddress,
    /// Place of its record in the batch.
    index: usize,
    goroutine: Goroutine,
    details: Details,
    saved: Saved,
    at: u64,
    length: usize,
}

/// Reads stacks.
pub(super) struct StackScan<'a, 'd, M> {
    pub(super) memory: &'a M,
    pub(super) decoder: Decoder<'d>,
    pub(super) thread: &'a Thread,
    /// The runtime's number for waiting for another coroutine.
    pub(super) coroutine: Option<u8>,
    pub(super) walker: &'a mut Walker,
    pub(super) code: &'a mut dyn Code,
    pub(super) visit: &'a mut dyn FnMut(&Seen, &[Step]),
    /// Goroutines that run are kept for [`StackScan::sample`].
    pub(super) samples: bool,
    /// Those that were.
    pub(super) running: Vec<Running>,
}

impl<M: Memory> StackScan<'_, '_, M> {
    pub(super) fn layout(&self) -> &G {
        self.decoder.layout
    }

    fn size(&self) -> usize {
        usize::try_from(self.layout().size).unwrap_or(usize::MAX)
    }

    /// Shows the goroutines of these records.
    pub(super) fn take(
        &mut self,
        records: &[ProcessAddress],
        buffer: &mut StackBuffer,
    ) -> Result<(), ReadError> {
        for batch in records.chunks(BATCH) {
            self.batch(batch, buffer)?;
            let mut alone = std::mem::take(&mut buffer.alone);
            for record in alone.drain(..) {
                self.alone(record, buffer)?;
            }
            buffer.alone = alone;
        }
        Ok(())
    }

    /// Reads records; false where some cannot be.
    pub(super) fn read_records(
        &self,
        batch: &[ProcessAddress],
        spans: &mut Vec<Span>,
        into: &mut Vec<u8>,
    ) -> Result<bool, ReadError> {
        let length = self.size();
        spans.clear();
        spans.extend(batch.iter().map(|at| Span { at: *at, length }));
        into.resize(length * batch.len(), 0);
        is_read(self.memory.read_many(spans, into))
    }

    fn batch(
        &mut self,
        batch: &[ProcessAddress],
        buffer: &mut StackBuffer,
    ) -> Result<(), ReadError> {
        let size = self.size();
        buffer.batch.clear();
        if !self.read_records(batch, &mut buffer.spans, &mut buffer.records)? {
            buffer.alone.extend_from_slice(batch);
            return Ok(());
        }
        for (index, (record, bytes)) in
            batch.iter().zip(buffer.records.chunks_exact(size)).enumerate()
        {
            match self.sort(*record, index, bytes) {
                Sorted::Nothing => {}
                Sorted::Running(goroutine, details) => {
                    self.show_running(&goroutine, details, &mut buffer.threads)?;
                }
                Sorted::Copy(copying) => buffer.batch.push(copying),
                Sorted::Alone => buffer.alone.push(*record),
            }
        }
        buffer.spans.clear();
        buffer.spans.extend(
            buffer.batch.iter().map(|c| Span { at: ProcessAddress(c.at), length: c.length }),
        );
        buffer.stacks.resize(buffer.batch.iter().map(|copying| copying.length).sum(), 0);
        let read = buffer.batch.is_empty()
            || is_read(self.memory.read_many(&buffer.spans, &mut buffer.stacks))?
                && self.read_records(batch, &mut buffer.spans, &mut buffer.after)?;
        if !read {
            buffer.alone.extend(buffer.batch.iter().map(|copying| copying.record));
            return Ok(());
        }
        let mut stacks = buffer.stacks.as_slice();
        for copying in &buffer.batch {
            let (bytes, rest) = stacks.split_at_checked(copying.length).unwrap_or((stacks, &[]));
            stacks = rest;
            let after = buffer.after.chunks_exact(size).nth(copying.index).map(Bytes);
            let after = after.and_then(|record| Saved::parse(self.layout(), record));
            let from = copying.saved.from().filter(|_| after == Some(copying.saved));
            let mut words = Copied { base: copying.at, bytes };
            let end = match from {
                Some(from) => self.walker.walk(from, self.code, &mut words, &mut buffer.steps)?,
                None => End::Lost,
            };
            if end == End::Whole && self.walker.is_plausible() {
                let Copying { goroutine, details, .. } = copying;
                self.show(goroutine, *details, None, Some(end), &buffer.steps);
            } else {
                buffer.alone.push(copying.record);
            }
        }
        Ok(())
    }

    /// What is to be done with a record.
    fn sort(&mut self, record: ProcessAddress, index: usize, bytes: &[u8]) -> Sorted {
        let goroutine = match self.decoder.decode(record, bytes) {
            Decoded::Live(goroutine) => goroutine,
            Decoded::Free => return Sorted::Nothing,
            Decoded::Impossible => return Sorted::Alone,
        };
        let details = Details::parse(self.layout(), Bytes(bytes));
        let saved = Saved::parse(self.layout(), Bytes(bytes));
        let (Some(details), Some(saved)) = (details, saved) else { return Sorted::Alone };
        if goroutine.state == State::Running {
            return Sorted::Running(goroutine, details);
        }
        let Some(from) = saved.from().filter(|_| self.is_counted(&goroutine)) else {
            return Sorted::Alone;
        };
        match saved.stack_hi.checked_sub(from.sp) {
            Some(used @ 8..=MAX_USED) => Sorted::Copy(Copying {
                record,
                index,
                goroutine,
                details,
                saved,
                at: from.sp,
                length: usize::try_from(used).unwrap_or(0),
            }),
            _ => Sorted::Alone,
        }
    }

    /// Whether its record would tell if it ran.
    fn is_counted(&self, goroutine: &Goroutine) -> bool {
        match goroutine.state {
            State::Waiting | State::Leaked => {
                self.coroutine.is_none_or(|number| number != goroutine.wait_reason)
            }
            State::Runnable | State::Preempted => true,
            State::Running | State::Syscall | State::CopyStack => false,
        }
    }

    /// Looks at one goroutine until it shows the same twice.
    pub(super) fn alone(
        &mut self,
        record: ProcessAddress,
        buffer: &mut StackBuffer,
    ) -> Result<(), ReadError> {
        let mut before: Option<(Saved, End)> = None;
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            if attempt >= PATIENT {
                thread::sleep(PAUSE);
            }
            let batch = std::slice::from_ref(&record);
            if !self.read_records(batch, &mut buffer.spans, &mut buffer.records)? {
                return Ok(());
            }
            let bytes = buffer.records.as_slice();
            let goroutine = match self.decoder.decode(record, bytes) {
                Decoded::Live(goroutine) => goroutine,
                Decoded::Free => return Ok(()),
                Decoded::Impossible => continue,
            };
            let details = Details::parse(self.layout(), Bytes(bytes));
            let saved = Saved::parse(self.layout(), Bytes(bytes));
            let (Some(details), Some(saved)) = (details, saved) else { continue };
            if goroutine.state == State::Running {
                return self.show_running(&goroutine, details, &mut buffer.threads);
            }
            last = Some((goroutine, details));
            let Some(from) = saved.from() else { continue };
            buffer.piece.clear();
            let (memory, end) = (self.memory, saved.stack_hi);
            let mut words = Streamed { memory, end, base: from.sp, piece: &mut buffer.piece };
            let end = self.walker.walk(from, self.code, &mut words, &mut buffer.steps)?;
            if !self.read_records(batch, &mut buffer.spans, &mut buffer.after)? {
                return Ok(());
            }
            let after = Saved::parse(self.layout(), Bytes(&buffer.after));
            if after != Some(saved) || saved.state == State::CopyStack {
                before = None;
                continue;
            }
            let sure =
                end == End::Whole && self.walker.is_plausible() && self.is_counted(&goroutine);
            if sure || before == Some((saved, end)) && buffer.before == buffer.steps {
                self.walker.learn();
                let thread = self.thread_of(&goroutine, details, &mut buffer.threads)?;
                self.show(&goroutine, details, thread, Some(end), &buffer.steps);
                return Ok(());
            }
            before = Some((saved, end));
            std::mem::swap(&mut buffer.before, &mut buffer.steps);
        }
        if let Some((goroutine, details)) = last {
            let thread = self.thread_of(&goroutine, details, &mut buffer.threads)?;
            self.show(&goroutine, details, thread, None, &[]);
        }
        Ok(())
    }

    fn show_running(
        &mut self,
        goroutine: &Goroutine,
        details: Details,
        threads: &mut HashMap<ProcessAddress, u32>,
    ) -> Result<(), ReadError> {
        let thread = self.thread_of(goroutine, details, threads)?;
        let why = Unsampled::NotAsked;
        let running = Running { goroutine: *goroutine, details, thread, why };
        // Those of the runtime itself are on the stacks of their threads most of the time.
        if self.samples && !goroutine.system {
            self.running.push(running);
        } else {
            self.show_unsampled(&running);
        }
        Ok(())
    }

    /// Shows one that runs without a stack.
    pub(super) fn show_unsampled(&mut self, running: &Running) {
        let Running { goroutine, details, thread, why } = running;
        let seen = Self::seen(goroutine, *details, *thread, None);
        (self.visit)(&Seen { unsampled: Some(*why), ..seen }, &[]);
    }

    /// Shows one that runs with its stack.
    pub(super) fn show_sampled(
        &mut self,
        running: &Running,
        thread: u32,
        end: End,
        steps: &[Step],
    ) {
        let seen = Self::seen(&running.goroutine, running.details, Some(thread), Some(end));
        (self.visit)(&Seen { sampled: true, ..seen }, steps);
    }

    /// Id of the thread that a goroutine is on.
    fn thread_of(
        &self,
        goroutine: &Goroutine,
        details: Details,
        threads: &mut HashMap<ProcessAddress, u32>,
    ) -> Result<Option<u32>, ReadError> {
        let is_on_one = matches!(goroutine.state, State::Running | State::Syscall);
        let Some(m) = details.thread.filter(|_| is_on_one) else { return Ok(None) };
        if let Some(known) = threads.get(&m) {
            return Ok(Some(*known));
        }
        let at = ProcessAddress(m.0.saturating_add(u64::from(self.thread.procid)));
        let id = match read_u64(self.memory, at) {
            Ok(id) => u32::try_from(id).ok().filter(|id| *id != 0),
            Err(MemoryError::Unmapped { .. } | MemoryError::OutOfBounds { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(id) = id
            && threads.len() < MAX_THREADS
        {
            threads.insert(m, id);
        }
        Ok(id)
    }

    fn show(
        &mut self,
        goroutine: &Goroutine,
        details: Details,
        thread: Option<u32>,
        end: Option<End>,
        steps: &[Step],
    ) {
        (self.visit)(&Self::seen(goroutine, details, thread, end), steps);
    }

    fn seen(
        goroutine: &Goroutine,
        details: Details,
        thread: Option<u32>,
        end: Option<End>,
    ) -> Seen {
        let waits = matches!(goroutine.state, State::Waiting | State::Syscall | State::Leaked);
        Seen {
            goroutine: *goroutine,
            end,
            sampled: false,
            unsampled: None,
            torn: end.is_none() && goroutine.state != State::Running,
            locked: details.locked,
            in_bubble: details.in_bubble,
            thread,
            since: if waits { details.since } else { 0 },
        }
    }
}

/// What is to be done with a record.
enum Sorted {
    /// It is no goroutine.
    Nothing,
    /// There is no stack to be read.
    Running(Goroutine, Details),
    /// The stack is to be copied with others.
    Copy(Copying),
    /// It is to be looked at by itself.
    Alone,
}

/// Whether all could be read; other errors than of places that are not mapped are passed on.
fn is_read(read: Result<(), MemoryError>) -> Result<bool, ReadError> {
    match read {
        Ok(()) => Ok(true),
        Err(MemoryError::Unmapped { .. } | MemoryError::OutOfBounds { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
pub(in crate::read) mod tests;
