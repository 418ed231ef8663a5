//! What the reader should do about it.

use super::{Totals, Window};

/// A goroutine that was never kept waiting for so long, and all of them together no longer than this
/// share of the time, were not kept waiting to speak of.
const SHORT_TURN: u64 = 1_000_000;
const SMALL_SHARE: u64 = 100;
/// Processors are busy from this share of the time on, in percent.
const BUSY: u64 = 80;

/// What the program has to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// `GOMAXPROCS`; 0 where it is not known.
    pub gomaxprocs: u64,
    /// CPUs that it may use, by its affinity; 0 where it is not known.
    pub cpus: u64,
}

/// What the reader should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing: nobody was kept waiting.
    Nothing,
    /// `GOMAXPROCS` is lower than the CPUs there are, and all processors are busy.
    RaiseGomaxprocs,
    /// Threads wait for CPUs: a limit, an affinity, neighbours.
    MoreCpu,
    /// Goroutines wait for one another's turns, and there are no CPUs left to add.
    FixCode,
    /// Goroutines wait in the queue while processors are idle: the wait is that for the scheduler.
    Scheduler,
}

/// What the reader should do about it.
#[must_use]
pub fn advise(totals: &Totals, window: Window, host: Host) -> Advice {
    let split = &totals.goroutines;
    let short = split.longest_turn < SHORT_TURN && split.thread() < SHORT_TURN;
    if short || split.delay() < window.length() / SMALL_SHARE {
        return Advice::Nothing;
    }
    if split.thread() >= split.queue {
        return Advice::MoreCpu;
    }
    let room = window.length().saturating_mul(host.gomaxprocs);
    let busy = totals.processors_busy.saturating_mul(100) >= room.saturating_mul(BUSY);
    match (busy, host.gomaxprocs < host.cpus) {
        (true, true) => Advice::RaiseGomaxprocs,
        (true, false) => Advice::FixCode,
        (false, _) => Advice::Scheduler,
    }
}
