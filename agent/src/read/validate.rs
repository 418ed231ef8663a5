//! Which of the addresses that a variable may have is the right one, and whether the layout is the
//! process's: asked of the live process. Wrong numbers are worse than none.

use super::{
    counts::{self, CountsAt},
    error::ReadError,
    gc,
    globals::Global,
    goroutine::Decoder,
    goroutine_table::{self, GoroutineTable, ScanBuffer},
    heap,
    memory::{Memory, MemoryError, read_u64},
    runtime_facts::RuntimeFacts,
    runtime_reader::Starts,
    system_goroutine::Start,
    wait_reason::WaitReasons,
};
use crate::inspect::address::{LoadBias, ProcessAddress};

/// Records looked at, at each end of the table.
const SAMPLE: u64 = 256;
/// Goroutine numbers that may have been taken by something else than a processor since the last
/// batch: threads for calls from C, and batches taken during the check.
const MAX_LOOSE_GOIDS: u64 = 1 << 16;
/// Bytes that may be allocated between two readings.
const MAX_ALLOCATED_MEANWHILE: u64 = 64 << 20;
/// More threads than Linux lets a machine have.
const MAX_THREADS: u64 = 1 << 22;

/// What was found in a process.
pub(super) struct Found {
    pub(super) at: CountsAt,
    pub(super) table: GoroutineTable,
    pub(super) memstats: Result<ProcessAddress, ReadError>,
    pub(super) controller: Result<ProcessAddress, ReadError>,
    pub(super) wait_reasons: Result<WaitReasons, ReadError>,
}

/// Finds the variables.
///
/// # Errors
/// As [`super::RuntimeReader::open`].
pub(super) fn find(
    facts: &RuntimeFacts,
    memory: &impl Memory,
    bias: LoadBias,
    starts: &mut Starts,
) -> Result<Found, ReadError> {
    let layout = &facts.layout;
    let first = |global, check: &mut dyn FnMut(ProcessAddress) -> Result<(), ReadError>| {
        first_valid(facts.candidates.of(global, bias), global, check)
    };
    let allp = first(Global::Allp, &mut |at| counts::check_processors(memory, layout, at))?;
    let only = |global| facts.candidates.of(global, bias).next();
    let mut at = CountsAt {
        allglen: allp,
        allp,
        sched: allp,
        extra: [only(Global::ExtraLength), only(Global::ExtraInUse)],
    };
    at.sched =
        first(Global::Sched, &mut |sched| check_sched(facts, memory, &CountsAt { sched, ..at }))?;
    let wait_reasons = find_wait_reasons(facts, memory, bias);
    let table = find_table(facts, memory, bias, &at, starts, wait_reasons.as_ref().ok())?;
    at.allglen = table.length;
    check_counts(facts, memory, &at)?;

    let memstats = find_memstats(facts, memory, bias, at.sched);
    let controller = find_controller(facts, memory, bias, &memstats);
    Ok(Found { at, table, memstats, controller, wait_reasons })
}

/// The first address that passes the check; else the error of the likeliest, but for a process that
/// is gone, cannot be read or has not started: then nothing more is to be learned.
fn first_valid(
    candidates: impl Iterator<Item = ProcessAddress>,
    global: Global,
    check: &mut dyn FnMut(ProcessAddress) -> Result<(), ReadError>,
) -> Result<ProcessAddress, ReadError> {
    let mut failed = None;
    let mut starting = false;
    for at in candidates {
        match check(at) {
            Ok(()) => return Ok(at),
            Err(
                error @ ReadError::Memory(
                    MemoryError::Gone | MemoryError::NotPermitted | MemoryError::Os(_),
                ),
            ) => return Err(error),
            Err(error) => {
                starting |= error == ReadError::NotStarted;
                failed = failed.or(Some(error));
            }
        }
    }
    match failed {
        Some(_) if starting => Err(ReadError::NotStarted),
        Some(error) => Err(error),
        None => Err(ReadError::NotFound(global.symbol())),
    }
}

/// The last goroutine number given out is the last that a processor took, but for those that calls
/// from C took: two variables that were found apart agree on it.
fn check_sched(facts: &RuntimeFacts, memory: &impl Memory, at: &CountsAt) -> Result<(), ReadError> {
    let wrong = |why| ReadError::implausible("runtime.sched", why);
    let reading = counts::reading(memory, &facts.layout, at)?;
    if reading.goidgen == 0 || reading.last_cached == 0 {
        return Err(ReadError::NotStarted);
    }
    if reading.goidgen.abs_diff(reading.last_cached) > MAX_LOOSE_GOIDS {
        return Err(wrong("its goroutine numbers are not those of the processors"));
    }
    if !u64::try_from(reading.threads).is_ok_and(|threads| (1..MAX_THREADS).contains(&threads)) {
        return Err(wrong("its number of threads is impossible"));
    }
    if reading.free < 0 || reading.ngsys < 0 {
        return Err(wrong("a number is negative"));
    }
    if reading.counted.is_some_and(|counted| counted > reading.goidgen) {
        return Err(wrong("more goroutines were created than numbered"));
    }
    Ok(())
}

/// With all variables found, the counts must not contradict one another.
fn check_counts(
    facts: &RuntimeFacts,
    memory: &impl Memory,
    at: &CountsAt,
) -> Result<(), ReadError> {
    let wrong = |why| ReadError::implausible("runtime.sched", why);
    let reading = counts::reading(memory, &facts.layout, at)?;
    let records = i64::try_from(reading.allglen).unwrap_or(i64::MAX);
    if reading.free > records || reading.ngsys > records {
        return Err(wrong("it has more goroutines than the table"));
    }
    if reading.allglen > reading.goidgen {
        return Err(wrong("the table has more goroutines than were created"));
    }
    Ok(())
}

/// Finds the pair of variables that make a table of goroutines.
fn find_table(
    facts: &RuntimeFacts,
    memory: &impl Memory,
    bias: LoadBias,
    at: &CountsAt,
    starts: &mut Starts,
    reasons: Option<&WaitReasons>,
) -> Result<GoroutineTable, ReadError> {
    let goidgen = counts::reading(memory, &facts.layout, &CountsAt { allglen: at.allp, ..*at })
        .map(|reading| reading.goidgen)?;
    let mut first = ProcessAddress(0);
    let length =
        first_valid(facts.candidates.of(Global::AllgLen, bias), Global::AllgLen, &mut |length| {
            let candidates = facts.candidates.of(Global::AllgPtr, bias);
            let candidates = candidates.filter(|first| *first != length);
            first = first_valid(candidates, Global::AllgPtr, &mut |first| {
                let table = GoroutineTable { length, first };
                check_table(facts, memory, table, goidgen, starts, reasons)
            })?;
            Ok(())
        })?;
    Ok(GoroutineTable { length, first })
}

/// Looks at both ends of a table: each record must be one, each goroutine have a number that was
/// given out and run a function that exists.
fn check_table(
    facts: &RuntimeFacts,
    memory: &impl Memory,
    table: GoroutineTable,
    goidgen: u64,
    starts: &mut Starts,
    reasons: Option<&WaitReasons>,
) -> Result<(), ReadError> {
    let wrong = |why| ReadError::implausible("runtime.allgs", why);
    let length = goroutine_table::length(memory, table)?;
    // Numbers given out since `goidgen` was read belong to goroutines of the last moments.
    let last = goidgen.saturating_add(MAX_LOOSE_GOIDS);
    if length > last {
        return Err(wrong("it has more goroutines than were created"));
    }
    let mut strange_functions = 0_u64;
    let mut strange_numbers = 0_u64;
    let mut live = 0_u64;
    let mut unreadable = 0_u64;
    let mut records = 0_u64;
    let mut numbers = Vec::new();
    let mut buffer = ScanBuffer::default();
    let ends = [0..length.min(SAMPLE), length.saturating_sub(SAMPLE).max(SAMPLE)..length];
    for range in ends.into_iter().filter(|range| !range.is_empty()) {
        let mut start = |at: ProcessAddress| {
            starts.of(at).unwrap_or_else(|| {
                // The goroutine of a thread for calls from C runs no function of its own.
                strange_functions += u64::from(at != ProcessAddress(0));
                Start::User
            })
        };
        let mut decoder = Decoder {
            layout: &facts.layout.g,
            wait_reasons: facts.layout.wait_reasons,
            finalizer_wait: reasons.and_then(|reasons| reasons.number("finalizer wait")),
            start: &mut start,
        };
        let mut visit = |goroutine: &super::Goroutine| {
            live += 1;
            strange_numbers += u64::from(goroutine.goid == 0 || goroutine.goid > last);
            numbers.push(goroutine.goid);
        };
        let report =
            goroutine_table::scan(memory, table, range, &mut decoder, &mut buffer, &mut visit)?;
        unreadable += report.unreadable;
        records += report.records;
    }
    numbers.sort_unstable();
    let distinct = numbers.chunk_by(|a, b| a == b).count();
    // A process under load changes while it is looked at; a wrong address is wrong throughout.
    let few = |count: u64| count <= records / 16;
    if live == 0 && length <= SAMPLE {
        return Err(wrong("it has no goroutine"));
    }
    if unreadable > 0 {
        return Err(wrong("its records are none of goroutines"));
    }
    if !few(strange_functions) {
        return Err(wrong("its goroutines run no functions"));
    }
    if !few(strange_numbers) || !few(u64::try_from(numbers.len() - distinct).unwrap_or(u64::MAX)) {
        return Err(wrong("its goroutines have no numbers of their own"));
    }
    Ok(())
}

/// Finds the statistics: their heap and their pauses must be possible.
pub(super) fn find_memstats(
    facts: &RuntimeFacts,
    memory: &impl Memory,
    bias: LoadBias,
    sched: ProcessAddress,
) -> Result<ProcessAddress, ReadError> {
    let candidates = facts.candidates.of(Global::Memstats, bias);
    first_valid(candidates, Global::Memstats, &mut |stats| {
        heap::read(memory, &facts.layout, stats)?;
        gc::read(memory, &facts.layout, facts.release.minor, stats, sched).map(drop)
    })
}

/// Finds the pacer by what it and the statistics both know.
pub(super) fn find_controller(
    facts: &RuntimeFacts,
    memory: &impl Memory,
    bias: LoadBias,
    memstats: &Result<ProcessAddress, ReadError>,
) -> Result<ProcessAddress, ReadError> {
    let stats = memstats.clone()?;
    let candidates = facts.candidates.of(Global::GcController, bias);
    first_valid(candidates, Global::GcController, &mut |controller| {
        check_controller(facts, memory, stats, controller)
    })
}

/// The pacer counts allocated bytes as well, at the same places as the statistics: the two must
/// agree.
fn check_controller(
    facts: &RuntimeFacts,
    memory: &impl Memory,
    stats: ProcessAddress,
    controller: ProcessAddress,
) -> Result<(), ReadError> {
    let wrong = |why| ReadError::implausible("runtime.gcController", why);
    let goal = gc::goal(memory, &facts.layout.controller, facts.release.minor, controller)?;
    if goal.goal_bytes < goal.live_bytes {
        return Err(wrong("the goal is below what lives"));
    }
    let offset = u64::from(facts.layout.controller.total_alloc);
    let total = controller.0.checked_add(offset).ok_or(wrong("it is no address"))?;
    let before = read_u64(memory, ProcessAddress(total))?;
    let allocated = heap::read(memory, &facts.layout, stats)?.allocated_bytes;
    let after = read_u64(memory, ProcessAddress(total))?;
    let least = before.saturating_sub(MAX_ALLOCATED_MEANWHILE.min(before / 4));
    let most = after.saturating_add(MAX_ALLOCATED_MEANWHILE.min(after / 4));
    if !(least..=most).contains(&allocated) {
        return Err(wrong("it has not allocated what the statistics say"));
    }
    Ok(())
}

pub(super) fn find_wait_reasons(
    facts: &RuntimeFacts,
    memory: &impl Memory,
    bias: LoadBias,
) -> Result<WaitReasons, ReadError> {
    let mut found = WaitReasons::default();
    first_valid(facts.candidates.of(Global::WaitReasons, bias), Global::WaitReasons, &mut |at| {
        found = WaitReasons::read(memory, at, facts.layout.wait_reasons)?;
        Ok(())
    })?;
    Ok(found)
}
