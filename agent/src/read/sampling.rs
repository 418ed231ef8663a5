//! The stacks of goroutines that run: from samples of their threads.
//!
//! A sample is exact: registers and stack are of the same moment. What has to be made sure is whose
//! it is. It is a goroutine's where the register that Go keeps the goroutine in says so and the
//! stack pointer is on that goroutine's stack; a thread that is in the runtime's own code or in C
//! is on another one. And the goroutine is the one that was seen where its record, read behind the
//! sample, has the same number: numbers are never used again.
//!
//! A goroutine that has stopped running meanwhile is read like any other. One that runs and cannot
//! be sampled is shown without a stack, with the reason.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use super::{
    error::ReadError,
    goroutine::Goroutine,
    memory::{Memory, MemoryError},
    saved::{Details, Saved},
    stack::{End, From, Words},
    stack_scan::{StackBuffer, StackScan},
    stack_words::Copied,
    thread_sample::{Sample, SampleError, Sampled, Sampler},
};
use crate::inspect::address::ProcessAddress;

/// How long a dump waits for samples.
const LONGEST: Duration = Duration::from_millis(50);
/// After this time it looks where the goroutines are now that have not been sampled.
const ROUND: Duration = Duration::from_millis(15);
/// Between two looks at what was sampled.
const PAUSE: Duration = Duration::from_micros(500);
/// Threads that are sampled at once.
const MOST: usize = 64;
/// Bytes of a stack that are copied, at the least and at the most: with the registers they have to
/// fit into 64 KiB.
const SMALLEST: usize = 8 << 10;
const LARGEST: usize = 60 << 10;

/// Why a goroutine that runs has no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unsampled {
    /// Nobody asked for samples.
    NotAsked,
    /// The kernel does not let us.
    Refused(SampleError),
    /// It is not known on which thread it runs, or that has ended.
    NoThread,
    /// Its thread did not run.
    NoTime,
    /// Its thread was on another stack each time.
    Elsewhere,
}

impl fmt::Display for Unsampled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("it runs"),
            Self::Refused(error) => error.fmt(f),
            Self::NoThread => f.write_str("its thread is not known"),
            Self::NoTime => {
                write!(f, "its thread did not run Go's code for {} ms", LONGEST.as_millis())
            }
            Self::Elsewhere => f.write_str(
                "its thread was in the runtime's own code, or in C, each time it was looked at",
            ),
        }
    }
}

/// A goroutine that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) goroutine: Goroutine,
    pub(super) details: Details,
    pub(super) thread: Option<u32>,
    pub(super) why: Unsampled,
}

/// A thread that is being sampled.
struct Watch {
    thread: u32,
    sampled: Box<dyn Sampled>,
    done: bool,
}

impl<M: Memory> StackScan<'_, '_, M> {
    /// Shows the goroutines that run.
    pub(super) fn sample(
        &mut self,
        sampler: &mut dyn Sampler,
        buffer: &mut StackBuffer,
    ) -> Result<(), ReadError> {
        let deadline = Instant::now() + LONGEST;
        let mut pending = std::mem::take(&mut self.running);
        while !pending.is_empty() {
            let until = deadline.min(Instant::now() + ROUND);
            if let Err(refused) = self.round(sampler, &mut pending, until, buffer)? {
                for running in &mut pending {
                    running.why = Unsampled::Refused(refused);
                }
                break;
            }
            self.look_again(&mut pending, buffer)?;
            if Instant::now() >= deadline {
                break;
            }
        }
        for running in pending {
            self.show_unsampled(&running);
        }
        Ok(())
    }

    /// Shows those that do not run any more; where the others are now.
    fn look_again(
        &mut self,
        pending: &mut Vec<Running>,
        buffer: &mut StackBuffer,
    ) -> Result<(), ReadError> {
        for before in std::mem::take(pending) {
            self.alone(before.goroutine.record, buffer)?;
            for mut running in self.running.drain(..) {
                if running.goroutine.goid == before.goroutine.goid {
                    running.why = before.why;
                }
                pending.push(running);
            }
        }
        Ok(())
    }

    /// Samples the threads that goroutines run on, and takes those goroutines off that it shows.
    fn round(
        &mut self,
        sampler: &mut dyn Sampler,
        pending: &mut Vec<Running>,
        until: Instant,
        buffer: &mut StackBuffer,
    ) -> Result<Result<(), SampleError>, ReadError> {
        let mut watches = Vec::new();
        for running in pending.iter_mut().take(MOST) {
            let Some(thread) = running.thread else {
                running.why = Unsampled::NoThread;
                continue;
            };
            // It may have grown meanwhile.
            let stack = usize::try_from(running.goroutine.stack_bytes).unwrap_or(LARGEST);
            let stack = stack.saturating_mul(2).clamp(SMALLEST, LARGEST) & !7;
            match sampler.begin(thread, stack) {
                Ok(sampled) => {
                    running.why = Unsampled::NoTime;
                    watches.push(Watch { thread, sampled, done: false });
                }
                Err(SampleError::Gone) => running.why = Unsampled::NoThread,
                Err(refused) => return Ok(Err(refused)),
            }
        }
        // The next round is for those that had no place in this one.
        let rest = pending.len().min(MOST);
        loop {
            for watch in &mut watches {
                while let Some(sample) = watch.sampled.next() {
                    watch.done = self.take_sample(&sample, watch.thread, pending, buffer)?;
                    if watch.done {
                        break;
                    }
                }
            }
            watches.retain(|watch| !watch.done);
            if watches.is_empty() || Instant::now() >= until {
                let rest = rest.min(pending.len());
                pending.rotate_left(rest);
                return Ok(Ok(()));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Shows the goroutine that a sample is of; false where it is of none that is wanted.
    fn take_sample(
        &mut self,
        sample: &Sample,
        thread: u32,
        pending: &mut Vec<Running>,
        buffer: &mut StackBuffer,
    ) -> Result<bool, ReadError> {
        let of = |running: &Running| running.goroutine.record.0 == sample.goroutine;
        if let Some(index) = pending.iter().position(of)
            && let Some(running) = pending.get(index).copied()
            && let Some(end) = self.walk_sample(sample, &running.goroutine, buffer)?
        {
            pending.swap_remove(index);
            self.show_sampled(&running, thread, end, &buffer.steps);
            return Ok(true);
        }
        for running in pending.iter_mut().filter(|running| running.thread == Some(thread)) {
            running.why = Unsampled::Elsewhere;
        }
        Ok(false)
    }

    /// Walks the stack of a sample, whose steps are then in the buffer; `None` where it is not
    /// that goroutine's.
    fn walk_sample(
        &mut self,
        sample: &Sample,
        goroutine: &Goroutine,
        buffer: &mut StackBuffer,
    ) -> Result<Option<End>, ReadError> {
        let record = std::slice::from_ref(&goroutine.record);
        if !self.read_records(record, &mut buffer.spans, &mut buffer.records)? {
            return Ok(None);
        }
        let Some(saved) = Saved::parse(self.layout(), super::memory::Bytes(&buffer.records)) else {
            return Ok(None);
        };
        let on_stack = (saved.stack_lo..saved.stack_hi).contains(&sample.sp);
        let begins = self.code.at(ProcessAddress(sample.pc)).is_some_and(|spot| spot.can_begin());
        if saved.goid != goroutine.goid || !on_stack || !sample.sp.is_multiple_of(8) || !begins {
            return Ok(None);
        }
        let used = usize::try_from(saved.stack_hi.saturating_sub(sample.sp)).unwrap_or(usize::MAX);
        let bytes = sample.stack.get(..used).unwrap_or(&sample.stack);
        let mut words = Part { copied: Copied { base: sample.sp, bytes }, is_left: false };
        let from = From { pc: sample.pc, sp: sample.sp, lr: sample.lr, in_syscall: false };
        let end = self.walker.walk(from, self.code, &mut words, &mut buffer.steps)?;
        // It was interrupted there, and did not call.
        if let Some(innermost) = buffer.steps.first_mut() {
            innermost.interrupted = true;
        }
        // A walk ends where the stack is being changed, too: below a function that is about to move
        // to another one. The next sample is of another moment.
        let outermost = buffer.steps.last().and_then(|step| self.code.at(step.pc));
        let is_whole = outermost.is_some_and(|spot| spot.is_outermost());
        Ok(match end {
            End::Whole => is_whole.then_some(end),
            End::TooDeep => Some(end),
            // No more is copied than that. (Less was asked for where the stack was smaller then: the
            // next round asks for more.)
            End::Lost if words.is_left && bytes.len() < used && bytes.len() >= LARGEST => {
                Some(End::TooDeep)
            }
            End::Lost => None,
        })
    }
}

/// The part of a stack that was copied.
struct Part<'a> {
    copied: Copied<'a>,
    /// A word beyond it was asked for.
    is_left: bool,
}

impl Words for Part<'_> {
    fn word(&mut self, at: u64) -> Result<Option<u64>, MemoryError> {
        let word = self.copied.word(at)?;
        self.is_left |= word.is_none();
        Ok(word)
    }
}

#[cfg(test)]
mod tests;
