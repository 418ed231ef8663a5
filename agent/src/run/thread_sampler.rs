//! Samples of the threads of a process, by `perf_event_open(2)`: a clock that counts a thread's own
//! time makes the kernel note its registers and stack, and the thread goes on at once.

use std::{collections::HashMap, io};

use perf_event::{Builder, SampleFlag, events::Software};

use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
    read::{Sample, SampleError, Sampled, Sampler},
};

/// Time of a thread's own between two samples, in nanoseconds: short against the 50 ms that a dump
/// waits, long against the microseconds that one takes.
const PERIOD: u64 = 250_000;
/// Bytes of a sample beside the stack, at the most.
const HEAD: usize = 256;
/// `PERF_RECORD_SAMPLE`.
const SAMPLE: u32 = 9;

/// Samples threads of one process.
pub(super) struct ThreadSampler {
    proc: ProcFs,
    pid: Pid,
    /// Its threads by the ids that they have for themselves, which are others where the process is
    /// in a pid namespace of its own.
    known: HashMap<u32, Pid>,
}

impl ThreadSampler {
    pub(super) fn new(proc: ProcFs, pid: Pid) -> Self {
        Self { proc, pid, known: HashMap::new() }
    }

    /// The thread that has this id for itself; `None` where the process has no such thread.
    fn thread(&mut self, own: u32) -> Option<Pid> {
        if let Some(known) = self.known.get(&own) {
            return Some(*known);
        }
        let threads = self.proc.thread_ids(self.pid).ok()?;
        let of = |thread: Pid| self.proc.status(thread).ok()?.namespace_pids.last().copied();
        let is_nested = of(self.pid).is_some_and(|own| own != self.pid);
        self.known = threads
            .into_iter()
            .filter_map(|thread| {
                let own = if is_nested { of(thread)? } else { thread };
                Some((own.0, thread))
            })
            .collect();
        self.known.get(&own).copied()
    }
}

impl Sampler for ThreadSampler {
    fn begin(&mut self, thread: u32, stack: usize) -> Result<Box<dyn Sampled>, SampleError> {
        let thread = self.thread(thread).ok_or(SampleError::Gone)?;
        let failed = |error: io::Error| match error.raw_os_error().unwrap_or(libc::EINVAL) {
            libc::ESRCH => SampleError::Gone,
            libc::EPERM | libc::EACCES => SampleError::NotPermitted,
            libc::ENOSYS | libc::ENOENT | libc::EOPNOTSUPP => SampleError::NotBuiltIn,
            other => SampleError::Os(other),
        };
        let id = i32::try_from(thread.0).map_err(|_| SampleError::Gone)?;
        let size = u32::try_from(stack).map_err(|_| SampleError::Os(libc::EINVAL))?;
        let mut sampler = Builder::new(Software::CPU_CLOCK)
            .observe_pid(id)
            .any_cpu()
            .sample_period(PERIOD)
            .sample(SampleFlag::REGS_USER | SampleFlag::STACK_USER)
            .sample_regs_user(Sample::registers())
            .sample_stack_user(size)
            // Within the kernel a thread's registers are not all known.
            .exclude_kernel(true)
            .exclude_hv(true)
            .build()
            // Room for one sample or two: while nobody takes them, no more are copied.
            .and_then(|counter| counter.sampled(stack.saturating_add(HEAD)))
            .map_err(failed)?;
        sampler.enable().map_err(failed)?;
        Ok(Box::new(Thread(sampler)))
    }
}

/// A thread that is being sampled.
struct Thread(perf_event::Sampler);

impl Sampled for Thread {
    fn next(&mut self) -> Option<Sample> {
        loop {
            let record = self.0.next_record()?;
            if record.ty() == SAMPLE
                && let Some(sample) = Sample::parse(&record.to_contiguous())
            {
                return Some(sample);
            }
        }
    }
}
