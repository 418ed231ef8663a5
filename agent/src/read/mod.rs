//! The Go runtime's own records, read from outside.
//!
//! A running Go program keeps account of itself: every goroutine it ever made is in a table, its
//! state and what it waits for stand in it, and the scheduler and the collector count what they do.
//! This stage reads those accounts through `process_vm_readv`; the program is not stopped and does
//! not notice. It finds where the records are ([`globals`]), how they are laid out in this build
//! ([`layout`]), checks both against the live process and then walks them.
//!
//! Nothing read is trusted: every size, length and loop is bounded, and what does not make sense is
//! an error or a counted torn read, never a number.

mod counts;
mod error;
mod gc;
pub mod globals;
mod goroutine;
mod goroutine_table;
mod groups;
mod heap;
mod latency;
pub mod layout;
pub mod memory;
pub mod process_memory;
pub mod release;
mod runtime_facts;
mod runtime_reader;
mod sampling;
mod saved;
mod size_class;
mod stack;
mod stack_scan;
mod stack_words;
mod system_goroutine;
mod thread_sample;
mod time_histogram;
mod traceback;
mod validate;
mod wait_reason;
#[cfg(test)]
mod hostile;

pub use self::{
    counts::Counts,
    error::ReadError,
    gc::{Gc, HeapGoal},
    goroutine::{Goroutine, State},
    goroutine_table::{ScanBuffer, ScanReport},
    groups::{Group, GroupKey, Groups, MAX_GROUPS},
    heap::Heap,
    memory::MemoryError,
    runtime_facts::{Origin, RuntimeFacts},
    runtime_reader::{FunctionNames, PartialScan, RuntimeReader},
    sampling::Unsampled,
    stack::{Code, End, MAX_FRAMES, Spot, Step},
    stack_scan::{ATTEMPTS, Seen},
    thread_sample::{Sample, SampleError, Sampled, Sampler},
    time_histogram::TimeHistogram,
    traceback::Traceback,
    wait_reason::WaitReasons,
};
